"""What a comparison of models found."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from pajamas.types import Finding
from pajamas_validate.equivalence.candidate import Candidate

Status = Literal["pass", "fail", "measured"]


@frozen(kw_only=True)
class EquivalenceResult:
    """A finished comparison."""

    models: tuple[Candidate, ...]
    findings: tuple[Finding, ...]
    """Differences of reading, of settings and of weights, distances, losses, greedy answers; the verdict comes last."""
    status: Status
    """ "fail" where there is a conversion fault, "measured" where nothing could be judged in float32."""
    faults: tuple[str, ...] = ()
    """Each conversion fault in a sentence."""

    def found(self, metric: str) -> tuple[Finding, ...]:
        """The findings of a metric: of a pair of models, or of one, each."""
        return tuple(finding for finding in self.findings if finding.metric == metric)

    @property
    def lines(self) -> tuple[tuple[str, str], ...]:
        """Labels and texts, as a person reads them."""
        models = tuple((f"{model.label}:", model.title) for model in self.models)
        return models + tuple(line for finding in self.findings for line in finding.shown)

    @property
    def notes(self) -> tuple[str, ...]:
        """On what and how it was measured."""
        return tuple(note for finding in self.findings for note in finding.notes)


@frozen(kw_only=True)
class Part:
    """What one kind of comparison found."""

    findings: tuple[Finding, ...] = ()
    faults: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    """What could not be told, and why, in sentences."""
    notes: tuple[str, ...] = ()
    """On what the test does not cover."""
    judged: bool = False
    """Whether it tested computations in float32."""
    strangers: bool = False
    """Whether most texts are other tokens for them: nothing that they compute can be compared."""
