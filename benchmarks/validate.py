"""How long `pajamas validate` takes, and where llama-perplexity is given, how that compares with it.

    uv run python benchmarks/validate.py MODEL.gguf TEXT [--original ORIGINAL.gguf] [--llama-perplexity BINARY]

Whole commands on the same files with the same windows and threads, in turns (so that whatever else the machine does
meets both), medians and their ratios: perplexity, and with an original KL divergence too, for which llama-perplexity
has to run twice: once to write the original's logits to a file, once to compare with them. One round before the first
counts for nothing: it fills the disk's cache and what pajamas remembers of a file that it has tried.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

_Commands = list[list[str]]


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        for metric, ours, theirs in _measurements(options, Path(folder)):
            _compare(metric, ours, theirs, options.rounds)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("text", type=Path)
    parser.add_argument("--original", type=Path, help="a 16-bit GGUF file")
    parser.add_argument("--llama-perplexity", type=Path, metavar="BINARY")
    parser.add_argument("--ctx", type=int, default=512)
    parser.add_argument("--windows", type=int, default=12)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


def _measurements(options: argparse.Namespace, folder: Path) -> list[tuple[str, _Commands, _Commands]]:
    """Of each metric its name, our commands and llama-perplexity's (none without the binary)."""
    model, text, threads = str(options.model), str(options.text), str(options.threads)
    shape = ["--text", text, "--ctx", str(options.ctx), "--windows", str(options.windows), "--threads", threads]
    ours = [
        str(Path(sys.executable).with_name("pajamas")),
        "validate",
        "-q",
        model,
        *shape,
        "--no-record",
        "--no-resume",
    ]
    found = [("perplexity", [[*ours, "--metrics", "perplexity", "--alone"]], _Commands())]
    if options.original is not None:
        found.append(("kld", [[*ours, "--metrics", "perplexity,kld", "-o", str(options.original)]], _Commands()))
    if options.llama_perplexity is None:
        return found
    shape = ["-c", str(options.ctx), "--chunks", str(options.windows), "-t", threads]
    theirs = [str(options.llama_perplexity), *shape, "-f", text, "-m"]
    found[0][2].append([*theirs, model])
    if options.original is not None:
        logits = ["--kl-divergence-base", str(folder / "logits")]
        found[1][2].extend([[*theirs, str(options.original), *logits], [*theirs, model, *logits, "--kl-divergence"]])
    return found


def _compare(metric: str, ours: _Commands, theirs: _Commands, rounds: int) -> None:
    contestants = {"pajamas": ours, "llama-perplexity": theirs} if theirs else {"pajamas": ours}
    walls: dict[str, list[float]] = {name: [] for name in contestants}
    processor: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds + 1):
        # Turn about, so that neither always comes after the other.
        for name in sorted(contestants, reverse=bool(number % 2)):
            wall, seconds = _timed(contestants[name])
            if number:
                walls[name].append(wall)
                processor[name].append(seconds)
    for name in contestants:
        wall, seconds = statistics.median(walls[name]), statistics.median(processor[name])
        _say(f"{metric:11} {name:17} {wall:7.2f} s (fastest {min(walls[name]):.2f}) {seconds:7.2f} s CPU")
    if theirs:
        wall, best, cpu = (_ratio(times, fold) for times, fold in (
            (walls, statistics.median), (walls, min), (processor, statistics.median)))  # fmt: skip
        _say(f"{metric:11} ratio             {wall:7.3f}   (fastest {best:.3f}) {cpu:7.3f}")


def _ratio(times: dict[str, list[float]], fold: Callable[[list[float]], float]) -> float:
    return fold(times["pajamas"]) / fold(times["llama-perplexity"])


def _timed(commands: _Commands) -> tuple[float, float]:
    """Seconds of the clock, and of the processor with child processes included."""
    start, before = time.perf_counter(), os.times()
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode not in (0, 5, 6):  # a model that fails, or a sample too small to tell: it was measured
            sys.exit(f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    after = os.times()
    return time.perf_counter() - start, sum(after[2:4]) - sum(before[2:4])


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
