"""The metrics `perplexity` and `kld`: one run over the text, its figures and the verdict."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from pajamas import manifest
from pajamas.errors import UsageError
from pajamas.profiles import PROFILES, Profile, resolve_targets
from pajamas.types import Finding
from pajamas_validate import findings
from pajamas_validate.agreement import first_difference
from pajamas_validate.hooks import KLD
from pajamas_validate.measuring import measure, score_windows
from pajamas_validate.reading import Reading, read, read_and_score
from pajamas_validate.reference import Header, reference_writer
from pajamas_validate.reference_file import Reference, open_reference, refuse_other
from pajamas_validate.resuming import State, state_of
from pajamas_validate.scores import SCORES, Scores, WindowScores, write
from pajamas_validate.settings import Settings
from pajamas_validate.statistics import summarize
from pajamas_validate.texts import Text, choose_text
from pajamas_validate.verdict import Thresholds, judge
from pajamas_validate.windows import Windows, check_shape, cut

if TYPE_CHECKING:
    from pajamas.types import Artifact, Session, ValidateJob


_SCHEME = re.compile(r"[A-Za-z0-9_]{1,40}", re.ASCII)
_SHORT = {
    "bfloat16": "BF16", "bf16": "BF16", "float16": "F16", "f16": "F16", "float32": "F32", "f32": "F32",
}  # fmt: skip


@frozen(kw_only=True, eq=False)
class Run:
    """What was measured, and on what."""

    text: Text
    windows: Windows
    scores: Scores
    seconds: float
    label: str
    original_label: str | None


@frozen(kw_only=True, eq=False)
class Likelihood:
    """The findings of the metrics `perplexity` and `kld` with the verdict, and what is done when all is measured."""

    findings: list[Finding]
    scores: Scores | None = None
    digest: str = ""
    state: State | None = None

    def finish(self, report: Path | None) -> None:
        """Nothing more can fail: leave the scores for the report, and forget how to go on."""
        if report is not None and self.scores is not None:
            write(report / SCORES, self.scores, self.digest)
        if self.state is not None:
            self.state.remove()


def validate_likelihood(job: ValidateJob, settings: Settings) -> Likelihood:
    """Measure, unless the two models do not read alike.

    Raises:
        UsageError: an option that makes no sense, no text, one that is too short, or `kld` without an original.
        UnsupportedFeature: a backend cannot score.
        EngineError: an engine fails, or computes no numbers.
    """
    thresholds = Thresholds.of(
        _profile(settings, job.candidate, job.candidate_artifact),
        increase=settings.max_increase,
        divergence=settings.max_divergence,
    )
    if KLD in job.metrics and not (job.original or settings.reference or job.all_metrics):
        raise UsageError(
            "There is no original to diverge from.",
            "The candidate is measured alone, or has no receipt that names the model it was made from.",
            "Name it: --original MODEL, or ask for perplexity only: --metrics perplexity",
        )
    text = choose_text(job, settings)
    reference = _reference(job, settings, text)
    state = state_of(job, settings, text)
    began = time.monotonic()
    reading, done = _read(job, settings, text, reference, state)
    tokens, difference = reading.tokens, reading.difference
    if reference is not None:
        difference = first_difference(job.candidate, reference.windows.tokens, job.candidate, tokens)
    if difference is not None:
        return Likelihood(findings=findings.of_difference(difference))
    windows = cut(tokens, settings.context, _count(settings, reference))
    scores = _scores(job, settings, text, windows, reference, state, done)
    run = Run(
        text=text,
        windows=windows,
        scores=scores,
        seconds=time.monotonic() - began,
        label=label_of(job.candidate, job.candidate_artifact),
        original_label=_original_label(job, reference),
    )
    summary = summarize(scores)
    available = windows.available if reference is None else reference.windows.count
    verdict = judge(summary.comparison, thresholds, windows.count, job.metrics, available=available)
    found = findings.of_run(run, summary, verdict, job.metrics, _next_recipe(job.candidate_artifact))
    return Likelihood(findings=found, scores=scores, digest=windows.digest, state=state)


def _read(
    job: ValidateJob, settings: Settings, text: Text, reference: Reference | None, state: State
) -> tuple[Reading, list[WindowScores]]:
    """The text's tokens, and the first windows' scores where nothing else brings them or is to be told of them."""
    check_shape(settings.context, settings.windows)
    if reference is not None or settings.save_reference is not None or state.is_there:
        return read(job.candidate, job.original, text.text), []

    def score(windows: Windows, is_enough: Callable[[], bool]) -> list[WindowScores]:
        return score_windows(job.candidate, job.original, windows, is_enough=is_enough)

    return read_and_score(job.candidate, job.original, text.text, settings.context, settings.windows, score)


def _scores(
    job: ValidateJob,
    settings: Settings,
    text: Text,
    windows: Windows,
    reference: Reference | None,
    state: State,
    done: list[WindowScores],
) -> Scores:
    """Those of all windows, by the original, a reference or alone; with `save_reference` a new reference is written."""
    if settings.save_reference is None:
        return measure(
            job.candidate, job.original, windows, reference=reference, state=state, done=done, progress=job.progress
        )
    session, artifact = (
        (job.original, job.original_artifact) if job.original else (job.candidate, job.candidate_artifact)
    )
    header = Header(
        model=label_of(session, artifact),
        text=text.name,
        text_sha256=text.digest,
        context=windows.context,
        windows=windows.count,
        prefix=windows.tokens.prefix,
        tokens=len(windows.tokens.ids),
    )
    # Not resumed: what was measured earlier is not in this file.
    with reference_writer(settings.save_reference, header, windows.tokens.ids) as writer:
        return measure(job.candidate, job.original, windows, writer=writer, progress=job.progress)


def _reference(job: ValidateJob, settings: Settings, text: Text) -> Reference | None:
    """The reference that was named, if it is one of this text.

    Raises:
        UsageError: there is an original too, or the text is another.
    """
    if settings.reference is None:
        return None
    refuse_other(job.original, settings.save_reference)
    reference = open_reference(settings.reference)
    if reference.header.text_sha256 != text.digest:
        raise UsageError(
            f"{settings.reference} was made from another text.",
            f"It is of {reference.header.text}, and this is {text.name}.",
            "Give the text that it was made from.",
        )
    if reference.header.context != settings.context:
        raise UsageError(
            f"{settings.reference} has windows of {reference.header.context:,} tokens.",
            f"Windows of {settings.context:,} were asked for.",
            f"Measure with its own: --ctx {reference.header.context}",
        )
    return reference


def _count(settings: Settings, reference: Reference | None) -> int | None:
    """How many windows are used; with a reference all of its own, if no number is named.

    Raises:
        UsageError: the reference has fewer.
    """
    if reference is None:
        return settings.windows
    count = reference.windows.count
    if settings.windows is not None and settings.windows > count:
        raise UsageError(
            f"{settings.reference} has {count:,} windows.", f"{settings.windows:,} were asked for.", "Ask for fewer."
        )
    return settings.windows or count


def _original_label(job: ValidateJob, reference: Reference | None) -> str | None:
    if reference is not None:
        return reference.header.model
    return label_of(job.original, job.original_artifact) if job.original is not None else None


def label_of(session: Session, artifact: Artifact | None) -> str:
    """What a model is called in a line of figures: its scheme, by its receipt if it has one, or its weights' type."""
    found = manifest.find_receipt(artifact.path) if artifact is not None else None
    scheme = found[1].scheme if found is not None else None
    kind = scheme or (artifact.scheme if artifact else None) or session.architecture.dtype or session.backend
    return _SHORT.get(kind, kind)


def _next_recipe(artifact: Artifact | None) -> str | None:
    found = manifest.find_receipt(artifact.path) if artifact is not None else None
    scheme = found[1].details.get("next_recipe") if found is not None else None
    return scheme if isinstance(scheme, str) and _SCHEME.fullmatch(scheme) else None


def _profile(settings: Settings, session: Session, artifact: Artifact | None) -> Profile | None:
    """The one that was named, else that of the candidate's receipt, else of its scheme; None for schemes of none."""
    if settings.profile is not None:
        return PROFILES[settings.profile]
    if artifact is None:
        return None
    if found := manifest.find_receipt(artifact.path):
        return PROFILES.get(found[1].profile or "")
    return resolve_targets([artifact.format], label_of(session, artifact))[0].profile
