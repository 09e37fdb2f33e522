"""Short names for models: core's own, and how those of plugins and of the user come together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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


def merge(offers: Iterable[tuple[str, Mapping[str, str]]], user: Mapping[str, str] | None = None) -> dict[str, str]:
    """All aliases as one mapping, sorted; the user's own win over every plugin's.

    Args:
        offers: each plugin's name and what it calls models.
        user: from the configuration file.

    Raises:
        PluginConflict: two plugins give one name different sources, and the user has not decided.
        PluginError: a plugin offers something else than names and sources.
    """
    user = user or {}
    merged: dict[str, str] = {}
    owners: dict[str, str] = {}
    for plugin, offered in offers:
        if not isinstance(offered, Mapping) or not all(
            isinstance(part, str) for pair in offered.items() for part in pair
        ):
            raise PluginError(f"Plugin {plugin} offers aliases that are not text.", "", f"Update or remove {plugin}.")
        for alias, source in offered.items():
            if alias not in user and merged.setdefault(alias, source) != source:
                raise PluginConflict(
                    f"Two plugins offer the alias {alias}.",
                    f"For {owners[alias]} it is {merged[alias]}, for {plugin} it is {source}.",
                    "Decide in the [aliases] table of the configuration file, or remove one of the two.",
                )
            owners.setdefault(alias, plugin)
    return dict(sorted((merged | dict(user)).items()))
