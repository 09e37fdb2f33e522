"""What a benchmark has found. Written as JSON, and read again as a baseline."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from attrs import field, frozen

from pajamas.types import MemoryUse
from pajamas_bench.cases import Key

SCHEMA = 2
Verdict = Literal["better", "worse", "equal", "unresolved", "unknown"]
Status = Literal["measured", "pass", "fail", "unresolved"]


@frozen(kw_only=True)
class Figure:
    """One metric over the runs, in the unit of `metrics.METRICS`."""

    metric: str
    values: tuple[float, ...]
    """In the order of the runs."""
    median: float
    low: float
    """The smallest."""
    high: float
    """The largest."""
    noise: float | None
    """Half the 95 % interval, as a share of the value; None for one run."""


@frozen(kw_only=True)
class CaseResult:
    name: str
    asked: str
    """The beginning of the prompt's SHA-256 in hexadecimal digits; "" for a context that is filled."""
    answer_tokens: int
    """That were asked for."""
    prompt_tokens: int
    """Of one request."""
    generated: int
    """Tokens of the answer of the first run: fewer where the model ended before, and the backend cannot go on, or where
    the context was full."""
    figures: tuple[Figure, ...]
    context_full: bool = False
    """Some answer of the first run was shorter than asked for because the context had no more room."""
    concurrency: int | None = None
    """Requests at once; None is one that was measured by itself."""
    queued: bool = False
    """The backend answers one request at a time: those at once were answered one after the other."""
    agree: bool | None = None
    """Whether all runs gave the same tokens; None for one run."""
    disagreement: str | None = None
    """Which run differs, and where."""
    text: str = ""
    """The first run's answer to the first request."""
    latencies: tuple[float, ...] = ()
    """Seconds that each token after the first took: medians over the runs. Only of single requests."""
    ceiling: float | None = None
    """Tokens a second that the memory bandwidth allows; None where it does not apply."""

    def figure(self, metric: str) -> Figure | None:
        return next((figure for figure in self.figures if figure.metric == metric), None)

    @property
    def key(self) -> Key:
        """As `Case.key`."""
        return self.name, self.asked, self.answer_tokens

    @property
    def of_ceiling(self) -> float | None:
        """Generation speed as a share of the ceiling."""
        speed = self.figure("generation-speed")
        return speed.median / self.ceiling if speed and self.ceiling else None


@frozen(kw_only=True)
class CandidateResult:
    """One model's figures. Load and peak memory are those of a process that does nothing else."""

    model: str
    """As it was asked for."""
    name: str
    """For people: its file or folder, and its scheme."""
    path: Path
    format: str
    scheme: str | None
    size: int
    """Bytes of its weights on disk."""
    backend: str
    engine: str
    engine_version: str | None
    device: str
    options: Mapping[str, Any]
    """Of loading, as far as they were given."""
    context_length: int
    memory: MemoryUse
    """What the engine reports."""
    load: Figure
    peak_memory: Figure
    weights_per_token: int
    """Bytes of weights that the generation of one token reads."""
    kv_per_token: float
    """Bytes that each token of the context adds to that."""
    cases: tuple[CaseResult, ...]

    def case(self, key: Key) -> CaseResult | None:
        return next((case for case in self.cases if case.key == key), None)


@frozen(kw_only=True)
class Machine:
    processor: str
    processors: int
    """That may be used."""
    memory: int
    """Bytes."""
    system: str
    python: str
    bandwidth_one: float
    """Bytes a second that one thread reads."""
    bandwidth_all: float
    """Bytes a second that all threads read."""
    pressure: float | None
    """Share of the time in which some thread of this machine waited for a processor (Linux PSI)."""


@frozen(kw_only=True)
class Change:
    """A metric of a case, measured against the baseline."""

    case: str | None
    """None: of the whole process."""
    metric: str
    baseline: float
    """Geometric mean of the runs; the median where a run has 0."""
    measured: float
    """As `baseline`."""
    delta: float
    """Per cent of the baseline, between these two."""
    noise: float | None
    """Half the interval of the ratio, as a share, in which all ratios of the comparison lie together with 95 %
    certainty; None where a side has one run."""
    verdict: Verdict
    """"equal" where the difference is inside the noise, but "unresolved" where it is worse by more than was allowed;
    "unknown" where the noise is not known."""
    regression: bool = False
    """Worse by more than was allowed, and not inside the noise."""


@frozen(kw_only=True)
class BenchmarkResult:
    candidates: tuple[CandidateResult, ...]
    """One, or the two of a comparison: the baseline first."""
    machine: Machine
    repeat: int
    date: str
    """ISO 8601, UTC."""
    pajamas_version: str
    command: str = ""
    changes: tuple[Change, ...] = ()
    baseline: str | None = None
    """What `changes` are against."""
    max_regression: float | None = None
    """Per cent."""
    status: Status = "measured"
    """"pass", "fail" and "unresolved" only where a largest regression was given."""
    notes: tuple[str, ...] = ()
    """What a reader must know of the figures."""
    reports: tuple[Path, ...] = field(default=())
    schema: int = SCHEMA
