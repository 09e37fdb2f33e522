"""All metrics of this plugin for one job: figures on a text first, then answers to prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pajamas_validate.equivalence.corpus import conversations
from pajamas_validate.equivalence.reading import ReadingDifference, compare_prompts
from pajamas_validate.findings import failed, of_difference, of_template
from pajamas_validate.hooks import KLD, PERPLEXITY, SAMPLES
from pajamas_validate.likelihood import Likelihood, validate_likelihood
from pajamas_validate.printing import with_lines
from pajamas_validate.samples import suite_for, validate_samples
from pajamas_validate.settings import read_settings, refuse_unused
from pajamas_validate.vocabulary import vocabulary_difference

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
    refuse_unused(settings, job)
    suite = suite_for(job, settings) if SAMPLES in job.metrics else None
    scored = bool({PERPLEXITY, KLD} & set(job.metrics))
    likelihood = validate_likelihood(job, settings) if scored else Likelihood(findings=_unlike(job))
    found = likelihood.findings
    if any(finding.metric == "tokenization" for finding in found):
        return found
    verdict = [finding for finding in found if finding.metric == "verdict"]
    found = [finding for finding in found if finding.metric != "verdict"]
    if difference := _template_difference(job):
        found.append(of_template(difference))
        verdict = [failed("the chat templates differ")]
    elif suite is not None:
        found += validate_samples(job, suite)
    likelihood.finish(job.report)
    return found + verdict


def _unlike(job: ValidateJob) -> list[Finding]:
    """For answers alone: two models of different vocabularies are not asked."""
    difference = vocabulary_difference(job.original, job.candidate) if job.original is not None else None
    return of_difference(difference) if difference is not None else []


def _template_difference(job: ValidateJob) -> ReadingDifference | None:
    """Where the models' prompts part, for the first of many kinds of conversation for which they do."""
    if job.original is None or job.original.chat_template == job.candidate.chat_template:
        return None
    sessions = {"the original": job.original, "the quantized model": job.candidate}
    return next(iter(compare_prompts(sessions, conversations())), None)
