"""The echo backend's hooks."""

from __future__ import annotations

from pajamas.hookspecs import hookimpl
from pajamas.types import BackendInfo


@hookimpl
def describe() -> BackendInfo:
    return BackendInfo(
        name="echo", engine="none", engine_version=None, formats=("echo",), schemes=(), features=frozenset()
    )
