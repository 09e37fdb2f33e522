"""The workspace's own promises: what is pinned, and that pip users get the same."""

from __future__ import annotations

import runpy
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
WORKSPACE = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECTS = [tomllib.loads(path.read_text()) for path in ROOT.glob("*/**/pyproject.toml") if ".venv" not in path.parts]


def names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(text).name) for text in requirements}


def test_constraints_for_pip_are_those_of_the_workspace():
    written = (ROOT / "constraints.txt").read_text()

    assert written == runpy.run_path(str(ROOT / "tools/constraints.py"))["constraints"]()


def test_every_direct_dependency_is_pinned():
    pins = WORKSPACE["tool"]["uv"]["constraint-dependencies"]
    own = {project["project"]["name"] for project in PROJECTS}
    used = names(WORKSPACE["dependency-groups"]["dev"])
    for project in PROJECTS:
        used |= names(project["project"].get("dependencies", []))

    assert {"pajamas", "pajamas-gguf", "pajamas-tiny"} <= own
    assert used - own == names(pins)
    assert all(len(list(Requirement(pin).specifier)) == 1 and "==" in pin for pin in pins)
