"""pajamas against its engine, on models in the shapes of Qwen3-0.6B and Qwen3-1.7B: the table of docs/performance.md.

    uv run python benchmarks/native_speed.py [--shapes 0.6B 1.7B] [--folder models] [--rounds 7] [--only generation]

The models are made first where they are not there (random weights, quantized to Q4_K_M, with a Qwen tokenizer).
All measurements run by turns in one go; a ratio is the median over rounds of the ratio within a round.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import generation
import loading
import prefixes
import processes
from random_qwen import SHAPES, make
from ratios import table

PARTS = ("generation", "processes", "loading", "prefixes")


def main() -> None:
    parser = argparse.ArgumentParser(description="pajamas against its engine.")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--model", type=Path, help="a GGUF file instead of those shapes")
    parser.add_argument("--folder", type=Path, default=Path.cwd() / "models", help="where the models are kept")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--long-tokens", type=int, default=1000, help="of an answer beside create_completion's")
    parser.add_argument("--long-rounds", type=int, default=3)
    options = parser.parse_args()
    for path in [options.model] if options.model else [make(shape, options.folder) for shape in options.shapes]:
        ratios = []
        if "generation" in options.only:
            ratios += generation.measure(
                path, threads=options.threads, tokens=options.tokens, rounds=options.rounds,
                long_tokens=options.long_tokens, long_rounds=options.long_rounds,
            )  # fmt: skip
        if "processes" in options.only:
            ratios += processes.measure(
                path, threads=options.threads, count=4, tokens=options.tokens, rounds=options.rounds
            )
        if "loading" in options.only:
            ratios += loading.measure(path, threads=options.threads, rounds=options.rounds)
        if "prefixes" in options.only:
            ratios += prefixes.measure(
                path, threads=options.threads, length=1000, shares=(0.05, 0.1, 0.25, 0.5), rounds=options.rounds
            )
        sys.stdout.write(f"\n{path.name}, {options.threads} threads\n\n{table(ratios)}")


if __name__ == "__main__":
    main()
