"""The lines that a person reads."""

from __future__ import annotations

from pajamas.types import Finding
from pajamas_validate.findings import failed
from pajamas_validate.printing import lines


def test_metrics_of_other_plugins_are_shown_before_the_verdict():
    words = Finding(metric="words", value=12.5, error=0.25, unit="a line")

    assert lines([words, Finding(metric="rhymes", value=3), failed("it does not rhyme")]) == [
        ("words:", "12.5 ± 0.25 a line"), ("rhymes:", "3"), ("Status:", "FAIL (it does not rhyme)"),
    ]  # fmt: skip
