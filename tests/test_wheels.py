"""Every distribution builds a wheel and works beside core alone, without the workspace."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DISTRIBUTIONS = {"pajamas": ROOT / "core", "pajamas-gguf": ROOT / "plugins/gguf", "pajamas-tiny": ROOT / "plugins/tiny"}


@pytest.fixture(scope="session")
def wheels(tmp_path_factory):
    """One wheel of each distribution, built offline with the build backend that is installed here."""
    folder = tmp_path_factory.mktemp("wheels")
    for project in DISTRIBUTIONS.values():
        build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(project)]
        subprocess.run(build, check=True, capture_output=True)
    return {name: next(folder.glob(f"{name.replace('-', '_')}-*.whl")) for name in DISTRIBUTIONS}


@pytest.fixture
def install(wheels, tmp_path):
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

    def run(*names: str) -> Path:
        for name in names:
            unpack = ["-m", "zipfile", "-e", str(wheels[name]), str(purelib)]
            subprocess.run([sys.executable, *unpack], check=True)
        return environment / "bin" / "python"

    return run


def pajamas(python: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = f"import sys; from pajamas.cli.main import main; sys.argv = ['pajamas', *{list(arguments)!r}]; main()"
    return subprocess.run([python, "-c", program], capture_output=True, text=True, timeout=120)


def test_core_alone_works_and_says_what_is_missing(install):
    python = install("pajamas")

    assert pajamas(python, "plugins").returncode == 0
    assert "qwen3-8b" in pajamas(python, "list").stdout
    refused = pajamas(python, "convert", "--model", str(DISTRIBUTIONS["pajamas-tiny"] / "src/pajamas_tiny/model"))
    assert refused.returncode == 4
    assert "pip install pajamas-gguf" in refused.stderr


def test_the_backend_beside_core_alone_converts_a_folder(install, tmp_path):
    python = install("pajamas", "pajamas-gguf")
    model = DISTRIBUTIONS["pajamas-tiny"] / "src/pajamas_tiny/model"

    done = pajamas(python, "convert", "--model", str(model), "--output", str(tmp_path / "out"))

    assert (done.returncode, done.stderr if done.returncode else "") == (0, "")
    assert (tmp_path / "out/gguf/model-q4_k_m.gguf").is_file()


def test_the_model_beside_core_alone_is_found_by_its_alias(install):
    python = install("pajamas", "pajamas-tiny")

    assert "4.20M parameters" in pajamas(python, "info", "tiny").stdout
