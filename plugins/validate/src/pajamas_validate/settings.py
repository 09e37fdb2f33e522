"""What a validation can be told: `ValidateJob.options`, checked."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from attrs import frozen

from pajamas.errors import UsageError
from pajamas.profiles import PROFILES
from pajamas_validate.hooks import KLD, PERPLEXITY, SAMPLES
from pajamas_validate.windows import CONTEXT

if TYPE_CHECKING:
    from pajamas.types import ValidateJob


@frozen(kw_only=True)
class Settings:
    context: int = CONTEXT
    """Tokens of a window."""
    windows: int | None = None
    """How many windows of the text are used; None is all."""
    dataset: str | None = None
    """A text by name, for a job that brings none: a key of `datasets.DATASETS`."""
    profile: str | None = None
    """Whose thresholds count; None infers it from the candidate's scheme."""
    max_increase: float | None = None
    """Largest accepted perplexity increase in per cent, instead of the profile's."""
    max_divergence: float | None = None
    """Largest accepted mean KL divergence in nats, instead of the profile's."""
    reference: Path | None = None
    """A file of `save_reference`, in place of an original."""
    save_reference: Path | None = None
    """Where to keep what the original says, for candidates that are judged where it does not fit."""
    resume: bool = True
    """Go on where a validation of the same files on the same text was broken off."""
    suite: str | None = None
    """A behaviour suite: a .toml file, or the name of one that comes along; None is the model's own, or "everyday"."""


def read_settings(options: Mapping[str, Any]) -> Settings:
    """Raises UsageError for an option that there is not, a value of the wrong type, or a profile that there is not."""
    kinds = get_type_hints(Settings)
    for name, value in options.items():
        if name not in kinds:
            near = difflib.get_close_matches(name, kinds) or sorted(kinds)
            raise UsageError(f"Validation has no option {name!r}.", f"Did you mean: {', '.join(near)}?", "")
        allowed = get_args(kinds[name]) or (kinds[name],)
        fits = isinstance(
            value, (*allowed, *((int,) if float in allowed else ()), *((str,) if Path in allowed else ()))
        )
        if not fits or (isinstance(value, bool) and bool not in allowed):
            raise UsageError(f"The option {name!r} cannot be {value!r}.", "Its type is another.", "")
    paths = {name for name, kind in kinds.items() if Path in get_args(kind)}
    given: dict[str, Any] = {
        name: Path(value) if name in paths and value is not None else value for name, value in options.items()
    }
    settings = Settings(**given)
    if settings.profile not in (None, *PROFILES):
        raise UsageError(f"There is no profile {settings.profile!r}.", f"Profiles: {', '.join(PROFILES)}.", "")
    return settings


_OF_TEXT = ("windows", "dataset", "reference", "save_reference", "profile", "max_increase", "max_divergence")


def refuse_unused(settings: Settings, job: ValidateJob) -> None:
    """Raises UsageError for an option that none of the metrics that are asked for has a use for."""
    scored = bool({PERPLEXITY, KLD} & set(job.metrics))
    unused = [name for name in _OF_TEXT if not scored and getattr(settings, name) is not None]
    unused += ["context"] if not scored and settings.context != CONTEXT else []
    foreign = set(job.metrics) - {PERPLEXITY, KLD, SAMPLES}  # which may have a use for the text
    unused += ["text"] if not (scored or foreign) and job.text is not None else []
    unused += ["suite"] if SAMPLES not in job.metrics and settings.suite is not None else []
    if scored:
        unused += ["max_divergence"] if KLD not in job.metrics and settings.max_divergence is not None else []
        unused += ["max_increase"] if PERPLEXITY not in job.metrics and settings.max_increase is not None else []
        alone = job.original is None and settings.reference is None
        judged = [name for name in ("profile", "max_increase", "max_divergence") if getattr(settings, name) is not None]
        unused += judged if alone else []
    if unused:
        what = f"{_FLAGS[unused[0]]} has no effect here."
        why = f"What is measured is {', '.join(job.metrics)}{' of a model alone' if job.original is None else ''}."
        raise UsageError(what, why, "Leave it out, or measure what it is for.")


_FLAGS = {
    "context": "--ctx",
    "windows": "--windows",
    "dataset": "--dataset",
    "reference": "--reference",
    "save_reference": "--save-reference",
    "profile": "--profile",
    "max_increase": "--threshold",
    "max_divergence": "--max-kld",
    "suite": "--suite",
    "text": "--text",
}
