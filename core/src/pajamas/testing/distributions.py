"""Fake distributions: a dist-info folder and a module each, found by importlib.metadata like installed ones."""

from __future__ import annotations

import textwrap
from pathlib import Path


def write_distribution(
    root: Path,
    name: str,
    source: str,
    *,
    entry: str,
    group: str = "pajamas.backends",
    version: str = "1.0",
    requires: str = "pajamas>=0.1",
    module: str | None = None,
) -> Path:
    """Write one distribution into the folder `root`, which is to be on `sys.path`.

    Args:
        name: of the distribution.
        source: of the module; common indentation is taken away.
        entry: the entry point's name.
        group: the entry point's group.
        requires: what it says of pajamas.
        module: the name of its one module; None is the distribution's name, with underscores.

    Returns:
        The module's file.
    """
    module = module or name.replace("-", "_")
    info = root / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Dist: {requires}\n", encoding="utf-8"
    )
    (info / "entry_points.txt").write_text(f"[{group}]\n{entry} = {module}\n", encoding="utf-8")
    path = root / f"{module}.py"
    path.write_text(textwrap.dedent(source), encoding="utf-8")
    return path
