"""The metrics `perplexity` and `kld`: one run over the text, its figures and the verdict."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from attrs import frozen

from pajamas.errors import UsageError
from pajamas.profiles import PROFILES, Profile, resolve_targets
from pajamas.types import Finding
from pajamas_validate import findings
from pajamas_validate.agreement import first_difference
from pajamas_validate.hooks import KLD, PERPLEXITY
from pajamas_validate.measuring import measure
from pajamas_validate.resuming import state_of
from pajamas_validate.scores import Scores, write
from pajamas_validate.settings import Settings, read_settings
from pajamas_validate.statistics import summarize
from pajamas_validate.texts import Text, choose_text
from pajamas_validate.verdict import Thresholds, judge
from pajamas_validate.windows import Windows, cut, tokenize

if TYPE_CHECKING:
    from pajamas.types import Artifact, Session, ValidateJob


_SHORT = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}


@frozen(kw_only=True, eq=False)
class Run:
    """What was measured, and on what."""

    text: Text
    windows: Windows
    scores: Scores
    seconds: float
    label: str
    original_label: str | None


def validate_likelihood(job: ValidateJob) -> list[Finding]:
    """The findings of the metrics `perplexity` and `kld`, and the verdict.

    Raises:
        UsageError: an option that makes no sense, no text, one that is too short, or `kld` without an original.
        UnsupportedFeature: a backend cannot score.
        EngineError: an engine fails, or computes no numbers.
    """
    settings = read_settings(job.options)
    thresholds = Thresholds.of(
        _profile(settings, job.candidate, job.candidate_artifact),
        increase=settings.max_increase,
        divergence=settings.max_divergence,
    )
    if KLD in job.metrics and job.original is None and PERPLEXITY not in job.metrics:
        raise UsageError(
            "There is no original to diverge from.",
            "The candidate has no receipt that names the model it was made from.",
            "Name it: --original MODEL",
        )
    text = choose_text(job, settings)
    tokens = tokenize(job.candidate, text.text)
    if job.original is not None:
        difference = first_difference(job.original, tokenize(job.original, text.text), job.candidate, tokens)
        if difference is not None:
            return findings.of_difference(difference)
    windows = cut(tokens, settings.context, settings.windows)
    state = None
    if settings.resume:
        artifacts = (job.candidate_artifact, job.original_artifact)
        state = state_of(windows, *artifacts, compared=job.original is not None)
    began = time.monotonic()
    scores = measure(job.candidate, job.original, windows, state=state, progress=job.progress)
    if settings.scores is not None:
        write(settings.scores, scores, windows.digest)
    run = Run(
        text=text,
        windows=windows,
        scores=scores,
        seconds=time.monotonic() - began,
        label=label_of(job.candidate, job.candidate_artifact),
        original_label=label_of(job.original, job.original_artifact) if job.original else None,
    )
    summary = summarize(scores)
    verdict = judge(summary.comparison, thresholds, windows.count, divergence=KLD in job.metrics)
    return findings.of_run(run, summary, verdict, job.metrics)


def label_of(session: Session, artifact: Artifact | None) -> str:
    """What a model is called in a line of figures: its scheme, or the type of its weights."""
    kind = (artifact.scheme if artifact else None) or session.architecture.dtype or session.backend
    return _SHORT.get(kind, kind)


def _profile(settings: Settings, session: Session, artifact: Artifact | None) -> Profile | None:
    """The one that was named, else the one that the candidate's scheme stands for; None for schemes of no profile."""
    if settings.profile is not None:
        if settings.profile not in PROFILES:
            what = f"There is no profile {settings.profile!r}."
            raise UsageError(what, f"Profiles: {', '.join(PROFILES)}.", "")
        return PROFILES[settings.profile]
    if artifact is None:
        return None
    return resolve_targets([artifact.format], label_of(session, artifact))[0].profile
