"""Fixtures: a wheel of each distribution, and fresh environments that they are installed into."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DISTRIBUTIONS = {
    "pajamas": ROOT / "core",
    "pajamas-gguf": ROOT / "plugins/gguf",
    "pajamas-tiny": ROOT / "plugins/tiny",
    "pajamas-echo": ROOT / "docs/examples/pajamas-echo",
}


@pytest.fixture(scope="session")
def wheels(tmp_path_factory):
    """One wheel of each distribution, built offline with the build backend that is installed here."""
    folder = tmp_path_factory.mktemp("wheels")
    for project in DISTRIBUTIONS.values():
        build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(project)]
        subprocess.run(build, check=True, capture_output=True)
    return {name: next(folder.glob(f"{name.replace('-', '_')}-*.whl")) for name in DISTRIBUTIONS}


@pytest.fixture(scope="session")
def pip(tmp_path_factory):
    """An installer, as Python itself brings it."""
    environment = tmp_path_factory.mktemp("pip")
    venv.create(environment, with_pip=True)
    return environment / "bin" / "pip"


@pytest.fixture
def install(wheels, pip, tmp_path):
    """Installs wheels into a fresh environment that sees this one's other libraries, but not the workspace's code."""
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=False)
    purelib = next(environment.glob("lib/python*/site-packages"))
    others = tmp_path / "libraries"
    others.mkdir()
    for library in Path(next(path for path in sys.path if path.endswith("site-packages"))).iterdir():
        if not library.name.lower().lstrip("_").startswith("pajamas"):
            (others / library.name).symlink_to(library)
    (purelib / "libraries.pth").write_text(f"{others}\n")
    python = environment / "bin" / "python"

    def run(*names: str) -> Path:
        offline = ["--no-deps", "--no-index", "--disable-pip-version-check", "--quiet"]
        files = [str(wheels[name]) for name in names]
        subprocess.run([pip, "--python", python, "install", *offline, *files], check=True)
        return python

    return run
