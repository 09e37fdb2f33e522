"""Write constraints.txt for pip users from the versions pinned in pyproject.toml: `python tools/constraints.py`."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def constraints() -> str:
    pins = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["constraint-dependencies"]
    return "".join(f"{line}\n" for line in ("# Written by tools/constraints.py from pyproject.toml.", *pins))


if __name__ == "__main__":
    (ROOT / "constraints.txt").write_text(constraints())
