"""Fake distributions: a dist-info folder and a module each, found by importlib.metadata like installed ones."""

from __future__ import annotations

from pajamas.testing.distributions import write_distribution as write_dist

__all__ = ["backend_source", "write_dist"]

BACKEND = """
    from pajamas.hookspecs import hookimpl
    from pajamas.types import BackendInfo, Feature

    @hookimpl
    def describe():
        return BackendInfo(
            name="{name}", engine="none", engine_version="1", formats=("{format}",), schemes={schemes},
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
    schemes: tuple[str, ...] = (),
) -> str:
    """The source of a backend that describes itself, and does nothing else."""
    return BACKEND.format(
        name=name,
        format=format,
        features=features,
        devices=repr(devices),
        unavailable=repr(unavailable),
        schemes=repr(schemes),
    )
