"""The options of several formats, checked before the work on any of them begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import evolve, fields_dict

from pajamas.dispatch import Choice
from pajamas.errors import PajamasError, UnsupportedFeature, UsageError
from pajamas.quantize_options import NoEffect, given, options_of
from pajamas.types import QuantizeJob


def settle(jobs: Sequence[QuantizeJob], choices: Sequence[Choice]) -> list[tuple[QuantizeJob, tuple[str, ...]]]:
    """Each job with those of its options that its scheme has use for, and notes of the others.

    An option goes to those formats that honour it: it is left out where it has no effect on the scheme, if it has one
    on another's.

    Raises:
        UsageError, UnsupportedFeature: what a backend refuses by its options alone.
    """
    if len(jobs) == 1:
        return [(jobs[0], ())]
    errors = [_refusal(job, choice) for job, choice in zip(jobs, choices, strict=True)]
    taken = {name for job, error in zip(jobs, errors, strict=True) if error is None for name in given(options_of(job))}
    settled: list[tuple[QuantizeJob, tuple[str, ...]]] = []
    for job, choice, error in zip(jobs, choices, errors, strict=True):
        if error is None:
            settled.append((job, ()))
            continue
        names = [name for name in given(options_of(job)) if name in taken]
        defaults: dict[str, Any] = {name: fields_dict(QuantizeJob)[name].default for name in names}
        fewer = evolve(job, **defaults)
        if not isinstance(error, NoEffect) or not names or _refusal(fewer, choice) is not None:
            raise error
        settled.append((fewer, (error.what,)))
    return settled


def _refusal(job: QuantizeJob, choice: Choice) -> UsageError | UnsupportedFeature | None:
    try:
        choice.backend.quantize(evolve(job, dry_run=True))
    except (UsageError, UnsupportedFeature) as error:
        return error
    except PajamasError:  # of one model or machine: the other formats are made all the same
        return None
    return None
