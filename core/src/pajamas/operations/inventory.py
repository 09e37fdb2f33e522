"""What is on this machine: converted artifacts and downloaded models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from attrs import frozen

from pajamas import hub, store
from pajamas.operations.resolving import known_aliases
from pajamas.plugins import PluginHost


@frozen(kw_only=True)
class ListedModel:
    kind: Literal["artifact", "download"]
    name: str
    path: Path
    size: int
    """Bytes on disk."""
    format: str | None = None
    scheme: str | None = None
    bits_per_weight: float | None = None


@frozen(kw_only=True)
class Inventory:
    models: tuple[ListedModel, ...]
    aliases: Mapping[str, str]
    """Alias to source."""
    folder: Path
    """Where converted artifacts go without `--output`."""
    warnings: tuple[str, ...] = ()
    """Aliases that cannot be used, and why."""


def list_models(*, host: PluginHost | None = None) -> Inventory:
    """Artifacts of the store and models in the Hub's cache, with the aliases that can be used for models."""
    artifacts = [
        ListedModel(
            kind="artifact",
            name=found.name,
            path=folder / receipt.path,
            size=receipt.size,
            format=receipt.format,
            scheme=receipt.scheme,
            bits_per_weight=receipt.bits_per_weight,
        )
        for folder, found in store.manifests()
        for receipt in found.artifacts
    ]
    downloads = [
        ListedModel(kind="download", name=cached.repo_id, path=cached.path, size=cached.size)
        for cached in hub.cached_models()
    ]
    aliases = known_aliases(host or PluginHost())
    return Inventory(
        models=(*artifacts, *downloads),
        aliases=aliases.known,
        folder=store.models_folder(),
        warnings=tuple(
            " ".join(line for line in (error.what, error.why, error.fix) if line)
            for error in (*aliases.conflicts.values(), *aliases.broken)
        ),
    )
