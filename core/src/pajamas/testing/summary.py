"""What the conformance tests of a run have shown, in a few lines."""

from __future__ import annotations

import importlib.metadata
from collections import Counter
from collections.abc import Iterator
from typing import Any

from pajamas.testing.group import UNPROVEN
from pajamas.testing.plugin import GROUPS

ORDER = tuple(name.removesuffix("_group") for name in GROUPS)
WORDS = ("passed", "failed", "error", "xfailed", "xpassed", "skipped")
Line = tuple[str, dict[str, bool]]


def lines(reports: list[tuple[str, list[str], Any]]) -> Iterator[Line]:
    """Lines with pytest's markup, from (outcome, [class, backend, group], report)."""
    classes = dict.fromkeys((facts[0], facts[1]) for _, facts, _ in reports)
    for name, backend in classes:
        own = [(outcome, facts[2], report) for outcome, facts, report in reports if facts[:2] == [name, backend]]
        yield f"{name}: backend {backend}{_version(backend)}", {"bold": True}
        for group in ORDER:
            counts = Counter(outcome for outcome, of, _ in own if of == group and outcome in WORDS)
            if counts:
                words = ", ".join(f"{counts[word]} {word}" for word in WORDS if counts[word])
                yield f"  {group:<12}{words}", {"red": bool(counts["failed"] or counts["error"])}
        yield from _reasons(own)
        yield _verdict(own)


def _reasons(own: list[tuple[str, str, Any]]) -> Iterator[Line]:
    """Each reason once, with the tests that it stopped."""
    for outcome, reason_of in (("skipped", _skip_reason), ("xfailed", _xfail_reason), ("xpassed", _xfail_reason)):
        found: dict[str, list[str]] = {}
        for _, _, report in (entry for entry in own if entry[0] == outcome):
            found.setdefault(reason_of(report), []).append(report.nodeid.rpartition("::")[2])
        for reason, tests in found.items():
            shown = ", ".join(tests[:3]) + (f" and {len(tests) - 3} more" if len(tests) > 3 else "")
            yield f"  {outcome}: {reason} ({shown})", {"yellow": True}


def _verdict(own: list[tuple[str, str, Any]]) -> Line:
    from pajamas.testing.conformance import TESTS

    counts = Counter(outcome for outcome, _, _ in own)
    run = {report.nodeid.rpartition("::")[2].partition("[")[0] for outcome, _, report in own if outcome in WORDS}
    broken = counts["failed"] + counts["error"]
    if broken:
        return f"  DOES NOT CONFORM: {broken} failed", {"red": True, "bold": True}
    if any(outcome == "skipped" and UNPROVEN in _skip_reason(report) for outcome, _, report in own):
        return "  NOT PROVEN: the engine cannot run here, so most rules were not tried", {"red": True, "bold": True}
    if stopped := sum(outcome == "skipped" and ": see " in _skip_reason(report) for outcome, _, report in own):
        return f"  NOT PROVEN: {stopped} tests need what a known fault keeps from them", {"yellow": True, "bold": True}
    if missing := len(TESTS.keys() - run):
        return f"  NOT PROVEN: {missing} of the kit's {len(TESTS)} tests were not run", {"yellow": True, "bold": True}
    known = counts["xfailed"]
    return "  conforms" + (f", with {known} known fault{'s' * (known > 1)}" if known else ""), {"green": True}


def _skip_reason(report: Any) -> str:
    longrepr = report.longrepr
    text = longrepr[2] if isinstance(longrepr, tuple) else str(longrepr)
    return str(text).removeprefix("Skipped: ")


def _xfail_reason(report: Any) -> str:
    return str(getattr(report, "wasxfail", "")).removeprefix("reason: ") or "no reason given"


def _version(backend: str) -> str:
    points = [point for point in importlib.metadata.entry_points(group="pajamas.backends") if point.name == backend]
    distributions = [f"{point.dist.name} {point.dist.version}" for point in points if point.dist]
    return f" ({', '.join(distributions)})" if distributions else ""
