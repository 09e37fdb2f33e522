"""What plugins are installed, and which of them cannot be used and why."""

from __future__ import annotations

from attrs import frozen

from pajamas.errors import PajamasError
from pajamas.hookspecs import BACKENDS_GROUP, PLUGINS_GROUP
from pajamas.plugins import PluginHost
from pajamas.types import BackendInfo


@frozen(kw_only=True)
class PluginStatus:
    name: str
    kind: str
    """"backend" or "plugin"."""
    distribution: str
    version: str
    module: str
    problem: str | None
    """Why it is not used: disabled, incompatible, broken, or its name is claimed twice."""
    info: BackendInfo | None = None
    """What a working backend says of itself."""


def list_plugins(*, host: PluginHost | None = None) -> tuple[PluginStatus, ...]:
    """Every installed plugin. Each is imported, guarded: that is how a broken one is found."""
    host = host or PluginHost()
    found = []
    for group, kind in ((BACKENDS_GROUP, "backend"), (PLUGINS_GROUP, "plugin")):
        for entry in host.entries(group):
            problem, info = host.problem(entry), None
            if problem is None and kind == "backend":
                try:
                    info = host.backend(entry.name).describe()
                except PajamasError as error:
                    problem = f"{error.what} {error.why}"
            found.append(
                PluginStatus(
                    name=entry.name,
                    kind=kind,
                    distribution=entry.distribution,
                    version=entry.version,
                    module=entry.module,
                    problem=problem,
                    info=info,
                )
            )
    return tuple(found)
