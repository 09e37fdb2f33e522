"""Fake distributions: a dist-info folder and a module each, found by importlib.metadata like installed ones."""

from __future__ import annotations

import textwrap
from pathlib import Path


def write_dist(
    root: Path,
    name: str,
    module_source: str,
    *,
    entry: str,
    group: str = "pajamas.backends",
    version: str = "1.0",
    requires: str = "pajamas>=0.1",
) -> None:
    """One distribution in the folder `root`, offering the entry point `entry`."""
    module = name.replace("-", "_")
    info = root / f"{module}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Dist: {requires}\n"
    )
    (info / "entry_points.txt").write_text(f"[{group}]\n{entry} = {module}\n")
    (root / f"{module}.py").write_text(textwrap.dedent(module_source))


BACKEND = """
    from pajamas.hookspecs import hookimpl
    from pajamas.types import BackendInfo, Feature

    @hookimpl
    def describe():
        return BackendInfo(
            name="{name}", engine="none", engine_version="1", formats=("{format}",), schemes=(),
            features=frozenset({{Feature.STREAM, {features}}}), devices={devices}, unavailable={unavailable},
            fix="install the engine",
        )
"""


def backend_source(
    name: str,
    format: str = "paper",
    features: str = "",
    devices: tuple[str, ...] = ("cpu",),
    unavailable: str | None = None,
) -> str:
    """The source of a backend that describes itself, and does nothing else."""
    return BACKEND.format(
        name=name, format=format, features=features, devices=repr(devices), unavailable=repr(unavailable)
    )
