"""The metric `samples`: a behaviour suite's outcome as findings, and those read back for a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import asdict

from pajamas.types import Finding
from pajamas_validate.behaviour import Behaviour, run_suite
from pajamas_validate.checks import refuse_unknown_languages
from pajamas_validate.suite import Suite, named_suite, suite_of

if TYPE_CHECKING:
    from pajamas.types import ValidateJob
    from pajamas_validate.settings import Settings


def suite_for(job: ValidateJob, settings: Settings) -> Suite:
    """The suite that was named, the model's own, or the general one.

    Raises:
        UsageError, ModelNotFound: it is none.
    """
    own = job.model_text.path.parent if job.model_text else None
    suite = suite_of(own) if settings.suite is None else named_suite(settings.suite)
    refuse_unknown_languages(suite)
    return suite


def validate_samples(job: ValidateJob, suite: Suite) -> list[Finding]:
    """Ask everything, and compare.

    Raises:
        PajamasError: what generating raises.
    """
    return of_behaviour(run_suite(job.candidate, job.original, suite, progress=job.progress))


def of_behaviour(behaviour: Behaviour) -> list[Finding]:
    """The share of answers without a fault; with an original also the share of equal answers and how alike they are.

    Shares and likeness are per cent. The last finding's `details` hold everything, in JSON's own types.
    """
    details = asdict(behaviour)
    ran = len(behaviour.ran)
    if not ran:
        return [Finding(metric="samples", value=0.0, unit="%", details=details)]
    found = []
    if behaviour.compared:
        found.append(Finding(metric="samples-match", value=100 * behaviour.matches / ran, unit="%"))
        found.append(Finding(metric="samples-similarity", value=100 * (behaviour.similarity or 0.0), unit="%"))
    found.append(Finding(metric="samples", value=100 * behaviour.good / ran, unit="%", details=details))
    return found


def behaviour_of(finding: Finding) -> Behaviour:
    """What `of_behaviour` made the finding `samples` from."""
    from cattrs import structure

    return structure(dict(finding.details), Behaviour)
