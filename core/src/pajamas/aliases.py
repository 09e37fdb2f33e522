"""Short names for models: core's own, and how those of plugins and of the user come together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import field, frozen

from pajamas.errors import PluginConflict, PluginError
from pajamas.hookspecs import hookimpl

DEFAULT_MODEL = "qwen3-1.7b"

ALIASES = {
    "qwen3-0.6b": "Qwen/Qwen3-0.6B",
    "qwen3-1.7b": "Qwen/Qwen3-1.7B",
    "qwen3-8b": "Qwen/Qwen3-8B",
    "qwen3-30b-a3b": "Qwen/Qwen3-30B-A3B",
    "qwen3-coder": "Qwen/Qwen3-Coder-30B-A3B-Instruct",
    "phi-4": "microsoft/phi-4",
    "phi-4-mini-reasoning": "microsoft/Phi-4-mini-reasoning",
    "gpt-oss-20b": "openai/gpt-oss-20b",
}


@hookimpl
def model_aliases() -> dict[str, str]:
    return dict(ALIASES)


@frozen(kw_only=True)
class Aliases:
    """Every alias that can be used, and what is wrong with the others."""

    known: Mapping[str, str]
    """Alias to source, sorted."""
    conflicts: Mapping[str, PluginError] = field(factory=dict)
    """Aliases that plugins give different sources: an error for who uses one, and for nobody else."""
    broken: tuple[PluginError, ...] = ()
    """Of plugins whose offer cannot be read."""


def merge(offers: Iterable[tuple[str, Mapping[str, str]]], user: Mapping[str, str] | None = None) -> Aliases:
    """All aliases together; the user's own win over every plugin's, and settle their conflicts.

    Args:
        offers: each plugin's name and what it calls models.
        user: from the configuration file.
    """
    user = user or {}
    claims: dict[str, dict[str, str]] = {}  # alias to source to the first plugin that offers it
    broken = []
    for plugin, offered in offers:
        if not isinstance(offered, Mapping) or not all(
            isinstance(part, str) for pair in offered.items() for part in pair
        ):
            broken.append(
                PluginError(f"Plugin {plugin} offers aliases that are not text.", "", f"Update or remove {plugin}.")
            )
            continue
        for alias, source in offered.items():
            claims.setdefault(alias, {}).setdefault(source, plugin)
    known = {alias: next(iter(sources)) for alias, sources in claims.items() if len(sources) == 1} | dict(user)
    return Aliases(
        known=dict(sorted(known.items())),
        conflicts={
            alias: PluginConflict(
                f"Plugins disagree about the alias {alias}.",
                "For " + ", for ".join(f"{plugin} it is {source}" for source, plugin in sources.items()) + ".",
                "Decide in the [aliases] table of the configuration file, or remove one of the plugins.",
            )
            for alias, sources in claims.items()
            if len(sources) > 1 and alias not in user
        },
        broken=tuple(broken),
    )
