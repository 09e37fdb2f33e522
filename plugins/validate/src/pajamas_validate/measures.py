"""All metrics of this plugin for one job: figures on a text first, then answers to prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pajamas_validate.findings import failed
from pajamas_validate.hooks import KLD, PERPLEXITY, SAMPLES
from pajamas_validate.likelihood import validate_likelihood
from pajamas_validate.printing import with_lines
from pajamas_validate.samples import validate_samples
from pajamas_validate.settings import read_settings

if TYPE_CHECKING:
    from pajamas.types import Finding, ValidateJob


def measure_all(job: ValidateJob) -> list[Finding]:
    """The findings of the metrics that were asked for; the verdict comes last.

    Models that tokenize differently are not asked: their answers tell nothing. Chat templates that differ fail, for
    whoever talks with the candidate talks with another model.

    Raises:
        PajamasError: what the metrics raise.
    """
    return with_lines(_measure(job))


def _measure(job: ValidateJob) -> list[Finding]:
    settings = read_settings(job.options)
    found = validate_likelihood(job) if {PERPLEXITY, KLD} & set(job.metrics) else []
    if SAMPLES not in job.metrics or any(finding.metric == "tokenization" for finding in found):
        return found
    samples = validate_samples(job, settings)
    verdict = [finding for finding in found if finding.metric == "verdict"]
    if any(finding.details.get("template_difference") for finding in samples):
        verdict = [failed("the chat templates differ")]
    return [finding for finding in found if finding.metric != "verdict"] + samples + verdict
