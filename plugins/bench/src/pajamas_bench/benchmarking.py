"""The operation `benchmark`: how fast models answer, by turns, each in a process of its own."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Unpack

from attrs import evolve

from pajamas.errors import UsageError
from pajamas.keywords import LoadKeywords
from pajamas.plugins import PluginHost
from pajamas.progress import NO_PROGRESS, Progress
from pajamas_bench import baseline as baselines
from pajamas_bench.candidate import Candidate
from pajamas_bench.cases import plan
from pajamas_bench.comparing import compare, status
from pajamas_bench.machine import PressureMeter, describe
from pajamas_bench.notes import notes
from pajamas_bench.process import MeasuringProcess
from pajamas_bench.results import BenchmarkResult

REPEAT = 5


def benchmark(
    model: str | Path | None = None,
    *,
    prompt: str | None = None,
    num_tokens: int | None = None,
    context_lengths: Sequence[int] = (),
    concurrency: Sequence[int] = (),
    repeat: int = REPEAT,
    compare_with: str | Path | None = None,
    baseline: str | Path | None = None,
    max_regression: float | None = None,
    report: str | Path | None = None,
    command: str = "",
    backend: str | None = None,
    progress: Progress = NO_PROGRESS,
    host: PluginHost | None = None,
    **loading: Unpack[LoadKeywords],
) -> BenchmarkResult:
    """Measure how fast a model answers.

    Answers are greedy, and go on where the model would end if the backend can do that. Each model is loaded and asked
    in a process of its own, and what is measured is what a caller in that process sees. Each repetition has fresh
    processes, which differ by chance too, and warms them before; two models are asked by turns: A B, B A, A B ...

    Args:
        model: a file, a folder, a Hub id or an alias; None is the default model.
        prompt: asked instead of the two default prompts.
        num_tokens: of an answer; None is 50 and 200 for the default prompts, 500 for others.
        context_lengths: tokens of prompt and answer together; the prompt is a repeated text of exactly the rest.
        concurrency: how many requests are sent at once. A backend that serves one at a time has them queue.
        repeat: how often everything is measured.
        compare_with: the model that is the baseline, measured by turns with `model`.
        baseline: or a file with the JSON of an earlier result.
        max_regression: per cent by which a metric may be worse than the baseline: sets the result's `status`.
        report: a folder that gets report.json, report.md and index.html.
        command: what the report says that it was made by.
        backend: a backend's name or a device word, for every model.
        loading: fields of `types.LoadOptions`, for every model.

    Raises:
        UsageError: an argument makes no sense, or a baseline is none.
        UnsupportedFeature: a context is longer than the model's.
        PajamasError: what loading and answering raise.
    """
    _check(repeat, compare_with, baseline, max_regression, loading)
    cases = plan(prompt=prompt, num_tokens=num_tokens, contexts=context_lengths, concurrency=concurrency)
    before = None if baseline is None else baselines.read(Path(baseline))
    if before is not None:
        baselines.check_cases(before, [case.key for case in cases], Path(str(baseline)))
    if report is not None:
        from pajamas_bench.report import folder

        folder.prepare(Path(report))
    host = host or PluginHost()
    models = [model] if compare_with is None else [compare_with, model]
    candidates = [Candidate(host, name, backend, loading, cases, progress) for name in models]
    if len({candidate.name for candidate in candidates}) < len(candidates):
        for letter, candidate in zip("AB", candidates, strict=True):
            candidate.name += f" ({letter})"
    bandwidth = _bandwidth()
    meter = PressureMeter()
    with ExitStack() as stack:
        for candidate in candidates:
            stack.push(candidate.leave)
        _measure(candidates, repeat, progress)
        pressure = meter.share()
    machine = describe(bandwidth, pressure)
    results = tuple(candidate.result(machine) for candidate in candidates)
    result = BenchmarkResult(
        candidates=results,
        machine=machine,
        repeat=repeat,
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        pajamas_version=version("pajamas"),
        command=command,
        max_regression=max_regression,
    )
    if before is not None:
        changes = compare(before.candidates[0], results[0], paired=False, limit=max_regression)
        result = evolve(result, changes=changes, baseline=f"{before.candidates[0].name}, {before.date}")
    elif compare_with is not None:
        changes = compare(results[0], results[1], paired=True, limit=max_regression)
        result = evolve(result, changes=changes, baseline=results[0].name)
    if max_regression is not None:
        result = evolve(result, status=status(result.changes))
    result = evolve(result, notes=notes(result, before))
    if report is not None:
        result = evolve(result, reports=folder.write_report(result, Path(report)))
    return result


def _check(
    repeat: int,
    compare_with: str | Path | None,
    baseline: str | Path | None,
    max_regression: float | None,
    loading: LoadKeywords,
) -> None:
    if repeat < 1:
        raise UsageError(f"Nothing can be measured {repeat} times.", "", "Use --repeat 1 or more.")
    if compare_with is not None and baseline is not None:
        raise UsageError("There are two baselines.", "A compared model is one, and a file another.", "Leave one out.")
    if max_regression is not None and compare_with is None and baseline is None:
        raise UsageError("A largest regression needs a baseline.", "", "Name one by --baseline FILE.json or --compare.")
    if max_regression is not None and not 0 <= max_regression < float("inf"):
        raise UsageError(f"The largest regression cannot be {max_regression} %.", "", "Write it as 20%.")
    if loading.get("embeddings"):
        raise UsageError("A benchmark generates.", "A session does that or embeds.", "Leave embeddings=True out.")


@functools.cache
def _bandwidth() -> tuple[float, float]:
    """Of this machine, looked at once by a program that benchmarks several times."""
    with MeasuringProcess(blas_threads=False) as empty:
        return empty.bandwidth()


def _measure(candidates: list[Candidate], repeat: int, progress: Progress) -> None:
    """Everything once in each repetition, before which all are loaded afresh: how fast a process is, is chance too."""
    cases = candidates[0].cases
    total = len(candidates) * (1 + repeat * (1 + 2 * len(cases)))
    with progress.stage("Measuring", total, "runs") as stage:
        for candidate in candidates:
            candidate.reload()  # finds the files cold, and an engine that tries them before: not counted
            stage.advance(1, "load")
        for number in range(repeat):
            turn = candidates if number % 2 == 0 else candidates[::-1]  # what drifts slowly falls on both alike
            for candidate in turn:
                candidate.loads.append(candidate.reload())
                stage.advance(1, "load")
            for case in cases:
                for candidate in turn:
                    candidate.run(case, warm_up=True)
                    stage.advance(1, "warm-up")
            for case in cases:
                for candidate in turn:
                    candidate.runs[case].append(candidate.run(case))
                    stage.advance(1, case.name)
            for candidate in candidates:
                candidate.note_peak()
