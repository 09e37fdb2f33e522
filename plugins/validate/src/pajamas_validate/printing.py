"""Findings in the lines that a person reads."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from attrs import evolve

from pajamas.types import Finding
from pajamas_validate.samples import behaviour_of

_SHOWN = 5
"""Faults that both models have: the report has all of them."""
_QUANTILES = {"50": "median", "95": "95 %", "99": "99 %", "99.9": "99.9 %", "100": "max"}
_SHOWN_WITH = {
    "probability-change": "probability-change-rms",
    "samples-match": "samples",
    "samples-similarity": "samples",
}
"""Figures that stand in another one's line."""


def with_lines(findings: Sequence[Finding]) -> list[Finding]:
    """The same findings, each with its lines, and where a text was measured a note on how much of it."""
    by_name = {finding.metric: finding for finding in findings}
    return [evolve(finding, lines=tuple(_lines(finding, by_name)), notes=_notes(finding)) for finding in findings]


def _lines(finding: Finding, others: Mapping[str, Finding]) -> list[tuple[str, str]]:
    if _SHOWN_WITH.get(finding.metric) in others:
        return []
    match finding.metric:
        case "perplexity" | "perplexity-original":
            return [(f"Perplexity ({finding.details['model']}):", _plain(finding))]
        case "perplexity-increase":
            return [("Increase:", f"{finding.value:.1f} % ± {finding.error or 0:.1f}")]
        case "kld":
            return _divergence(finding)
        case "same-top-token":
            return [("Same top token:", f"{finding.value:.1f} %")]
        case "probability-change-rms":
            mean = others["probability-change"].value
            return [("Change of probability:", f"{finding.value:.2f} % RMS, {mean:+.2f} % mean")]
        case "chat-template":
            return [("Chat template:", f"differs. {finding.details['sentence']}")]
        case "tokenization":
            return [("Tokenization:", f"differs. {finding.details['sentence']}")]
        case "samples":
            return _samples(finding)
        case "verdict":
            return _status(finding)
    return list(finding.shown)


def _notes(finding: Finding) -> tuple[str, ...]:
    facts = finding.details
    if finding.metric != "perplexity" or "windows" not in facts:
        return ()
    share = "" if facts["windows"] == facts["available_windows"] else f" of {facts['available_windows']:,}"
    count = f"{facts['windows']:,}{share} window{'s' if facts['available_windows'] > 1 else ''}"
    return (
        f"Measured on {facts['text']}: {count} of {facts['context']:,} tokens, "
        f"{facts['tokens']:,} tokens scored, in {facts['seconds']:.1f} s.",
    )


def _divergence(finding: Finding) -> list[tuple[str, str]]:
    sampled = finding.details.get("sampling_error")
    share = "" if sampled is None else f" (of which ± {sampled:.1g} for the reference)"
    quantiles: Mapping[str, float] = finding.details["quantiles"]
    named = [f"{word} {quantiles[place]:.3g}" for place, word in _QUANTILES.items() if place in quantiles]
    return [("Mean KL divergence:", _precise(finding) + share), ("KL divergence:", ", ".join(named))]


def _status(finding: Finding) -> list[tuple[str, str]]:
    status = finding.details["status"]
    sentences = [judgement["sentence"] for judgement in finding.details["judgements"] if judgement["status"] == status]
    lines = [("Status:", str(finding.details["line"])), *(("", text) for text in sentences if status != "pass")]
    if better := finding.details.get("next_recipe"):
        lines.append(("Next:", f"--precision {better}, which takes more bits"))
    return lines


def _samples(finding: Finding) -> list[tuple[str, str]]:
    behaviour = behaviour_of(finding)
    ran, total = len(behaviour.ran), len(behaviour.samples)
    found = []
    if behaviour.compared and ran:
        likeness = f"{behaviour.matches} of {ran}, {100 * (behaviour.similarity or 0):.0f} % alike on average"
        found.append(("Same answers:", likeness))
    rest = f", {total - ran} not run" if ran < total else ""
    found.append(("Sound answers:", f"{behaviour.good} of {ran}{rest}"))
    found += [("" if number else "Worse than original:", text) for number, text in enumerate(behaviour.regressions)]
    reasons = dict.fromkeys(sample.not_run for sample in behaviour.samples if sample.not_run)
    if behaviour.compared:
        shared = [
            f"{sample.id}: {fault}"
            for sample in behaviour.ran
            for fault in (sample.quantized.faults if sample.quantized else ())
            if fault not in sample.regressions
        ]
        found += [("" if number else "Wrong in both:", text) for number, text in enumerate(shared[:_SHOWN])]
    return found + [("", f"Not run: {reason}") for reason in reasons]


def _plain(finding: Finding) -> str:
    return f"{finding.value:.2f} ± {finding.error or 0:.2f}"


def _precise(finding: Finding) -> str:
    """With as many places as the error has meaning, three at least."""
    error = finding.error or 0.0
    places = 3 if not error or not math.isfinite(error) else max(3, 1 - math.floor(math.log10(error)))
    return f"{finding.value:.{places}f} ± {error:.{places}f}"
