"""What can be known to be wrong before a model is loaded, which may take minutes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pajamas.errors import UsageError
from pajamas_validate.hooks import KLD, PERPLEXITY, SAMPLES

if TYPE_CHECKING:
    from pajamas.types import ValidationPlan
    from pajamas_validate.settings import Settings


def check_early(plan: ValidationPlan) -> None:
    """Refuse what the validation would refuse after loading, and fetch the dataset that it needs.

    Raises:
        UsageError: an option that there is not or that makes no sense; a text, suite or reference that cannot be read,
            or not beside another option; a place that cannot be written to.
        ModelNotFound: there is no suite of that name.
        PajamasError: what fetching a dataset raises.
    """
    from pajamas_validate.settings import read_settings

    settings = read_settings(plan.options)
    if plan.report is not None:
        _check_place(plan.report)
    if settings.save_reference is not None:
        _check_place(settings.save_reference.parent, made=True)
        if settings.save_reference.is_dir():
            raise UsageError(f"{settings.save_reference} is a folder.", "A reference is one file.", "Name a file.")
    if SAMPLES in plan.metrics and settings.suite is not None:
        from pajamas_validate.suite import named_suite

        named_suite(settings.suite)
    if {PERPLEXITY, KLD} & set(plan.metrics):
        _check_text(plan, settings)


def _check_text(plan: ValidationPlan, settings: Settings) -> None:
    from pajamas.operations.validating import read_text
    from pajamas_validate.datasets import read_dataset
    from pajamas_validate.reference_file import open_reference, refuse_other
    from pajamas_validate.texts import USUAL, refuse_two
    from pajamas_validate.windows import check_shape

    check_shape(settings.context, settings.windows)
    refuse_two(plan.text, settings.dataset)
    if settings.reference is not None:
        refuse_other(plan.has_original or None, settings.save_reference)
        open_reference(settings.reference)
    if isinstance(plan.text, Path):
        read_text(plan.text)
    elif settings.dataset is not None:
        read_dataset(settings.dataset)
    elif plan.needs_text:
        read_dataset(USUAL)


def _check_place(folder: Path, *, made: bool = False) -> None:
    """Refuse a folder to which nothing can be written; one that is not `made` yet may be missing."""
    place = folder
    while not made and not place.exists() and place != place.parent:
        place = place.parent
    if place.is_dir() and os.access(place, os.W_OK):
        return
    why = f"{place} is no folder." if not place.is_dir() else "It is not yours to write to."
    raise UsageError(f"Nothing can be written to {folder}.", why, "Name another place.")
