"""The records of a validation: what is measured, what was found, and where a report of it goes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from pajamas.artifacts import Artifact
from pajamas.progress import NO_PROGRESS, Progress

if TYPE_CHECKING:
    from pajamas.model_texts import ModelText
    from pajamas.session import Session


@frozen(kw_only=True)
class ValidationPlan:
    """A validation as it was asked for, before anything is loaded."""

    metrics: tuple[str, ...]
    """Those that were asked for."""
    options: Mapping[str, Any] = field(factory=dict)
    """As `ValidateJob.options`."""
    text: str | Path | None = None
    """The text to measure on, or its file; None is the metric's own."""
    needs_text: bool = False
    """It is certain that the models bring none along, and none was named."""
    has_original: bool = False
    """An original was named; else the candidate's receipt may name one."""
    report: Path | None = None
    """As `ValidateJob.report`."""


@frozen(kw_only=True)
class ValidateJob:
    """A candidate against its original, both loaded."""

    candidate: Session
    """What is measured."""
    original: Session | None
    """What it was made from; None measures the candidate alone."""
    metrics: tuple[str, ...]
    """Those that were asked for; answer for the ones that you offer."""
    all_metrics: bool = False
    """Nobody named metrics, so these are all: pass over one of yours that cannot be measured here. Else refuse it."""
    text: str | None = None
    """The text to measure on; None is the metric's own."""
    text_name: str = ""
    """The file that `text` comes from; empty if it is none."""
    model_text: ModelText | None = None
    """What the model itself brings along to be judged by, for when no other text is asked for."""
    options: Mapping[str, Any] = field(factory=dict)
    """Further settings, by name."""
    candidate_artifact: Artifact | None = None
    """The file or folder that was loaded; None where a caller brought a session of its own."""
    original_artifact: Artifact | None = None
    """As above, of the original."""
    report: Path | None = None
    """The folder of the report that the hook `report` will be asked for: what it needs besides findings goes there."""
    progress: Progress = NO_PROGRESS
    """What is told how far the work is."""


@frozen(kw_only=True)
class Finding:
    """One measured value."""

    metric: str
    """A name that `validation_metrics` offers, or that of a part of such a metric: "perplexity-increase"."""
    value: float
    """What was measured."""
    error: float | None = None
    """Standard error, where there is one."""
    unit: str = ""
    """Of `value`: "%", "nats", "tokens/s"."""
    lines: tuple[tuple[str, str], ...] | None = None
    """What a person reads, labels and texts; None leaves it to core, and an empty tuple shows nothing."""
    notes: tuple[str, ...] = ()
    """On what and how it was measured, in sentences."""
    details: Mapping[str, Any] = field(factory=dict)
    """Whatever else a report may show, as JSON values. A receipt keeps those that are numbers, texts, or plain mappings
    of them."""

    @property
    def shown(self) -> tuple[tuple[str, str], ...]:
        """`lines`, or the value with its error and unit under the metric's name."""
        if self.lines is not None:
            return self.lines
        error = "" if self.error is None else f" ± {self.error:.2g}"
        return ((f"{self.metric}:", f"{self.value:.6g}{error} {self.unit}".rstrip()),)


@frozen(kw_only=True)
class Measured:
    """What a validation has found."""

    findings: tuple[Finding, ...]
    """Of all plugins."""
    artifact: Artifact
    """What was measured."""
    original: Artifact | None = None
    """What it was compared with."""

    def finding(self, metric: str) -> Finding | None:
        return next((finding for finding in self.findings if finding.metric == metric), None)

    @property
    def status(self) -> str:
        """ "pass", "fail", "unresolved", or "measured" where nothing judges."""
        verdict = self.finding("verdict")
        return str(verdict.details["status"]) if verdict else "measured"

    @property
    def perplexity_increase(self) -> float | None:
        """Per cent above the original's; None if that was not measured."""
        found = self.finding("perplexity-increase")
        return found.value if found else None

    @property
    def lines(self) -> tuple[tuple[str, str], ...]:
        """Labels and texts, as a person reads them."""
        return tuple(line for finding in self.findings for line in finding.shown)

    @property
    def notes(self) -> tuple[str, ...]:
        """On what and how it was measured."""
        return tuple(note for finding in self.findings for note in finding.notes)


@frozen(kw_only=True)
class ReportJob(Measured):
    """A finished validation, to be written up."""

    folder: Path
    """Where the report's files go."""


@frozen(kw_only=True)
class ValidationResult(Measured):
    """A finished validation."""

    backend: str = ""
    """The candidate's."""
    reports: tuple[Path, ...] = ()
    """Files that a person opens, where a report was asked for."""
    manifest_path: Path | None = None
    """Where the figures were recorded, in the artifact's receipt."""
