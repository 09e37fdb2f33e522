"""What can be known to be wrong before a model is loaded, which may take minutes."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pajamas.errors import UsageError
from pajamas_validate.hooks import KLD, PERPLEXITY, SAMPLES

if TYPE_CHECKING:
    from pajamas.plugins import PluginHost
    from pajamas_validate.settings import Settings


def check_early(
    host: PluginHost,
    options: Mapping[str, Any],
    metrics: Collection[str],
    candidate: str,
    *,
    original: str | None,
    text: Path | None,
    report: Path | None,
) -> None:
    """Refuse what the validation would refuse after loading, and fetch the dataset that it needs.

    Raises:
        UsageError: an option that there is not or that makes no sense; a text, suite or reference that cannot be read,
            or not beside another option; a place that cannot be written to.
        ModelNotFound: there is no suite of that name.
        PajamasError: what fetching a dataset raises.
    """
    from pajamas_validate.settings import read_settings

    settings = read_settings(options)
    if report is not None:
        _check_place(report)
    if settings.save_reference is not None:
        _check_place(settings.save_reference.parent, made=True)
        if settings.save_reference.is_dir():
            raise UsageError(f"{settings.save_reference} is a folder.", "A reference is one file.", "Name a file.")
    if SAMPLES in metrics and settings.suite is not None:
        from pajamas_validate.suite import named_suite

        named_suite(settings.suite)
    if {PERPLEXITY, KLD} & set(metrics):
        _check_text(host, settings, candidate, original, text)


def _check_text(host: PluginHost, settings: Settings, candidate: str, original: str | None, text: Path | None) -> None:
    from pajamas.operations.validating import read_text
    from pajamas_validate.datasets import read_dataset
    from pajamas_validate.reference_file import open_reference, refuse_other
    from pajamas_validate.texts import USUAL, refuse_two
    from pajamas_validate.windows import check_shape

    check_shape(settings.context, settings.windows)
    refuse_two(text, settings.dataset)
    if settings.reference is not None:
        refuse_other(original, settings.save_reference)
        open_reference(settings.reference)
    if text is not None:
        read_text(text)
    elif settings.dataset is not None:
        read_dataset(settings.dataset)
    elif _brings_no_text(host, candidate, original):
        read_dataset(USUAL)


def _brings_no_text(host: PluginHost, candidate: str, original: str | None) -> bool:
    """Whether it is certain, as far as the models lie here, that neither has a text of its own to be judged by."""
    from pajamas import manifest
    from pajamas.operations.originals import own_text
    from pajamas.operations.resolving import resolve
    from pajamas.types import Artifact

    path = resolve(host, candidate).path
    if path is None:
        return False
    paths = [path]
    if (path / manifest.FILE_NAME).is_file():
        paths = [path / receipt.path for receipt in manifest.read(path).artifacts]
    return all(own_text(host, original, Artifact(path=one, format="")) is None for one in paths)


def _check_place(folder: Path, *, made: bool = False) -> None:
    """Refuse a folder to which nothing can be written; one that is not `made` yet may be missing."""
    place = folder
    while not made and not place.exists() and place != place.parent:
        place = place.parent
    if place.is_dir() and os.access(place, os.W_OK):
        return
    why = f"{place} is no folder." if not place.is_dir() else "It is not yours to write to."
    raise UsageError(f"Nothing can be written to {folder}.", why, "Name another place.")
