"""What an environment's own interpreter says of it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from attrs import field, frozen

LOOK_SECONDS = 20.0
"""For a look at the metadata."""
IMPORT_SECONDS = 180.0
"""For the import of a large engine, on a machine that is busy."""

_PROGRAM = r"""
import importlib.metadata, importlib, json, os, platform, re, sys
packages = {}
for one in importlib.metadata.distributions():
    name = one.metadata["Name"]
    if name:
        packages.setdefault(re.sub(r"[-_.]+", "-", name).lower(), one.version)
answer = {"version": platform.python_version(), "packages": packages, "failure": None}
try:
    for module in sys.argv[1:]:
        importlib.import_module(module)
except BaseException as error:
    answer["failure"] = f"{type(error).__name__}: {error}"[:500]
print("\n" + json.dumps(answer), flush=True)
os._exit(0)
"""


@frozen(kw_only=True)
class Inspection:
    """An environment as it is now."""

    problem: str | None = None
    """Why its interpreter does not answer, or what an import raised; in one line."""
    version: str = ""
    """Of Python."""
    packages: Mapping[str, str] = field(factory=dict)
    """Distribution to version; names are canonical."""


def inspect(python: Path, *modules: str) -> Inspection:
    """Ask the interpreter what is installed beside it, and to import `modules`, which may take long."""
    # -P: a file of the current folder must not pass for a module.
    command = [str(python), "-P", "-c", _PROGRAM, *modules]
    limit = IMPORT_SECONDS if modules else LOOK_SECONDS
    try:
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return Inspection(problem=f"{python} does not answer within {limit:.0f} s")
    except OSError as error:
        return Inspection(problem=f"{python} cannot be run: {error.strerror or error}")
    try:
        answer = json.loads(done.stdout.decode(errors="replace").strip().rpartition("\n")[2])
    except ValueError:
        words = " ".join(done.stderr.decode(errors="replace").split())[-300:]
        return Inspection(problem=f"{python} ends with exit status {done.returncode}: {words}")
    failure = answer["failure"]
    return Inspection(
        problem=None if failure is None else f"{' or '.join(modules)} cannot be imported there: {failure}",
        version=answer["version"],
        packages=answer["packages"],
    )


@cache
def look(python: Path) -> Inspection:
    """The same without an import, once for each interpreter: for what is asked again and again."""
    return inspect(python)
