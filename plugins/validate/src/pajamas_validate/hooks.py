"""The validation plugin's hooks; the modules that measure are imported inside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pajamas.hookspecs import hookimpl

if TYPE_CHECKING:
    from pathlib import Path

    from pajamas.types import Finding, ReportJob, ValidateJob, ValidationPlan

PERPLEXITY, KLD, SAMPLES = "perplexity", "kld", "samples"


@hookimpl
def validation_metrics() -> dict[str, str]:
    return {
        PERPLEXITY: "perplexity on held-out text, as llama-perplexity measures it, and its increase",
        KLD: "KL divergence from the original, token by token, and how often both rank the same token first",
        SAMPLES: "answers to a suite of prompts, greedy, beside the original's, and what is wrong with them",
    }


@hookimpl
def check_validation(plan: ValidationPlan) -> None:
    if {PERPLEXITY, KLD, SAMPLES} & set(plan.metrics):
        from pajamas_validate.precheck import check_early

        check_early(plan)


@hookimpl
def validate(job: ValidateJob) -> list[Finding] | None:
    if not {PERPLEXITY, KLD, SAMPLES} & set(job.metrics):
        return None
    from pajamas_validate.measures import measure_all

    return measure_all(job)


@hookimpl
def report(job: ReportJob) -> Path | None:
    from pajamas_validate.report.folder import write_report

    return write_report(job)
