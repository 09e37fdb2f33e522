"""Findings as the lines that a person reads."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pajamas.types import Finding
from pajamas_validate.samples import behaviour_of

_KNOWN = {
    "perplexity", "perplexity-original", "perplexity-increase", "kld", "same-top-token", "probability-change",
    "probability-change-rms", "tokenization", "samples", "samples-match", "samples-similarity", "verdict",
}  # fmt: skip
_QUANTILES = {"50": "median", "95": "95 %", "99": "99 %", "99.9": "99.9 %", "100": "max"}


def lines(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    """(label, value) in the order in which they are printed."""
    by_name = {finding.metric: finding for finding in findings}
    found = []
    for name in ("perplexity-original", "perplexity"):
        if finding := by_name.get(name):
            found.append((f"Perplexity ({finding.details['model']}):", _plain(finding)))
    if finding := by_name.get("perplexity-increase"):
        found.append(("Increase:", f"{finding.value:.1f} % ± {finding.error or 0:.1f}"))
    if finding := by_name.get("kld"):
        sampled = finding.details.get("sampling_error")
        share = "" if sampled is None else f" (of which ± {sampled:.1g} for the reference)"
        found.append(("Mean KL divergence:", _precise(finding) + share))
        quantiles: Mapping[str, float] = finding.details["quantiles"]
        named = [f"{word} {quantiles[place]:.3g}" for place, word in _QUANTILES.items() if place in quantiles]
        found.append(("KL divergence:", ", ".join(named)))
    if finding := by_name.get("same-top-token"):
        found.append(("Same top token:", f"{finding.value:.1f} %"))
    if (finding := by_name.get("probability-change-rms")) and (mean := by_name.get("probability-change")):
        found.append(("Change of probability:", f"{finding.value:.2f} % RMS, {mean.value:+.2f} % mean"))
    if finding := by_name.get("tokenization"):
        found.append(("Tokenization:", f"differs. {finding.details['sentence']}"))
    if finding := by_name.get("samples"):
        found += _samples(finding)
    found += [(f"{finding.metric}:", _other(finding)) for finding in findings if finding.metric not in _KNOWN]
    if finding := by_name.get("verdict"):
        found.append(("Status:", str(finding.details["line"])))
        for judgement in finding.details["judgements"]:
            if judgement["status"] == finding.details["status"] != "pass":
                found.append(("", judgement["sentence"]))
    return found


def notes(findings: Sequence[Finding]) -> list[str]:
    """On how much of what text was measured."""
    for finding in findings:
        if finding.metric == "perplexity" and "windows" in finding.details:
            facts = finding.details
            share = "" if facts["windows"] == facts["available_windows"] else f" of {facts['available_windows']:,}"
            return [
                f"Measured on {facts['text']}: {facts['windows']:,}{share} windows of {facts['context']:,} tokens, "
                f"{facts['tokens']:,} tokens scored, in {facts['seconds']:.1f} s."
            ]
    return []


def _samples(finding: Finding) -> list[tuple[str, str]]:
    behaviour = behaviour_of(finding)
    ran, total = len(behaviour.ran), len(behaviour.samples)
    if behaviour.template_difference is not None:
        return [("Chat template:", f"differs. {behaviour.template_difference}")]
    found = []
    if behaviour.compared and ran:
        likeness = f"{behaviour.matches} of {ran}, {100 * (behaviour.similarity or 0):.0f} % alike on average"
        found.append(("Same answers:", likeness))
    rest = f", {total - ran} not run" if ran < total else ""
    found.append(("Sound answers:", f"{behaviour.good} of {ran}{rest}"))
    found += [("" if number else "Worse than original:", text) for number, text in enumerate(behaviour.regressions)]
    reasons = dict.fromkeys(sample.not_run for sample in behaviour.samples if sample.not_run)
    return found + [("", f"Not run: {reason}") for reason in reasons]


def _plain(finding: Finding) -> str:
    return f"{finding.value:.2f} ± {finding.error or 0:.2f}"


def _other(finding: Finding) -> str:
    """Of another plugin's metric there is nothing to know but its value."""
    error = "" if finding.error is None else f" ± {finding.error:.2g}"
    return f"{finding.value:.6g}{error} {finding.unit}".rstrip()


def _precise(finding: Finding) -> str:
    """With as many places as the error has meaning, three at least."""
    error = finding.error or 0.0
    places = 3 if not error or not math.isfinite(error) else max(3, 1 - math.floor(math.log10(error)))
    return f"{finding.value:.{places}f} ± {error:.{places}f}"
