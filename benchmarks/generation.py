"""How fast answers are generated, against the engine itself: medians of interleaved runs on a random-weight model.

    uv run python benchmarks/generation.py [--model FILE] [--shape 0.6B] [--tokens 128] [--rounds 7] [--only NAME ...]

Without a file the model is made first (benchmarks/random_qwen.py). Each round does every measurement once, in another
order; a ratio is the median over rounds of the ratio within a round, so that what else the machine does counts equally.
"""

from __future__ import annotations

import argparse
import ctypes
import random
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from random_qwen import SHAPES, make

from pajamas.types import Artifact, GenerateRequest, LoadOptions, Sampling
from pajamas_gguf import engine
from pajamas_gguf.session.load import load

GREEDY = Sampling(temperature=0)
FULL = Sampling(
    temperature=0.8, top_k=40, top_p=0.95, min_p=0.05, typical_p=0.99, repetition_penalty=1.1, frequency_penalty=0.1
)
PROMPT = tuple(range(1000, 1032))
CONTEXT = 4096


class Bench:
    """Everything loaded once: tokens per second of each way to generate `count` tokens."""

    def __init__(self, path: Path, threads: int | None, count: int) -> None:
        self.path, self.count = path, count
        options = LoadOptions(context_length=CONTEXT, threads=threads)
        self.session = load(Artifact(path=path, format="gguf"), options)
        self.threads = self.session._parameters.threads
        self.lib = engine.library()
        self._llama: dict[bool, Any] = {}
        self._bare = self.bare_context()

    def bare_context(self) -> Any:
        params = self.lib.llama_context_default_params()
        params.n_ctx, params.n_outputs_max = CONTEXT, 1
        params.n_threads = params.n_threads_batch = self.threads
        return self.lib.llama_init_from_model(self.session._model.pointer, params)

    def bare(self) -> float:
        """llama_decode in a loop with the arg-max by numpy: nothing else."""
        lib, context = self.lib, self._bare
        lib.llama_memory_clear(lib.llama_get_memory(context), False)
        prompt = (ctypes.c_int32 * len(PROMPT))(*PROMPT)
        lib.llama_decode(context, lib.llama_batch_get_one(prompt, len(prompt)))
        size = self.session._model.vocabulary_size
        token = (ctypes.c_int32 * 1)()
        batch = lib.llama_batch_get_one(token, 1)
        logits = np.ctypeslib.as_array(lib.llama_get_logits_ith(context, -1), (size,))
        token[0] = int(logits.argmax())
        began = time.perf_counter()
        for _ in range(self.count - 1):
            lib.llama_decode(context, batch)
            lib.llama_get_logits_ith(context, -1)
            token[0] = int(logits.argmax())
        return (self.count - 1) / (time.perf_counter() - began)

    def pajamas(self, sampling: Sampling = GREEDY, exact: bool = False) -> float:
        request = GenerateRequest(
            token_ids=PROMPT, sampling=sampling, max_tokens=self.count, ignore_eos=True, cache_prompt=False,
            exact=exact,
        )  # fmt: skip
        stream = self.session.generate(request)
        next(stream)
        began = time.perf_counter()
        count = sum(len(chunk.token_ids) for chunk in stream)
        return count / (time.perf_counter() - began)

    def concurrent(self, callers: int) -> float:
        """All answers together, from threads: tokens over the time in which all of them are generated."""
        ready = threading.Barrier(callers + 1)

        def run(number: int) -> None:
            request = GenerateRequest(
                token_ids=(*PROMPT, 2000 + number), sampling=GREEDY, max_tokens=self.count, ignore_eos=True,
                cache_prompt=False,
            )  # fmt: skip
            stream = self.session.generate(request)
            next(stream)
            ready.wait()
            for _ in stream:
                pass
            ready.wait()

        threads = [threading.Thread(target=run, args=(number,)) for number in range(callers)]
        for thread in threads:
            thread.start()
        ready.wait()
        began = time.perf_counter()
        ready.wait()
        seconds = time.perf_counter() - began
        for thread in threads:
            thread.join()
        return callers * (self.count - 1) / seconds

    def completion(self, count: int, defaults: bool = False) -> float:
        """llama-cpp-python's own: tokens over the whole time of the call."""
        import llama_cpp

        if defaults not in self._llama:
            options: dict[str, Any] = {} if defaults else {
                "n_threads": self.threads, "n_threads_batch": self.threads, "flash_attn_type": -1,
            }  # fmt: skip
            self._llama[defaults] = llama_cpp.Llama(str(self.path), n_ctx=CONTEXT, verbose=False, **options)
        llama = self._llama[defaults]
        llama.reset()
        began = time.perf_counter()
        bias = {str(token): -1e9 for token in self.session._model.end_tokens}
        for _ in llama.create_completion(
            list(PROMPT), max_tokens=count, temperature=0.0, stream=True, logit_bias=bias
        ):  # fmt: skip
            pass
        return count / (time.perf_counter() - began)

    def answer(self, count: int) -> float:
        """The same by pajamas, prompt included."""
        request = GenerateRequest(
            token_ids=PROMPT, sampling=GREEDY, max_tokens=count, ignore_eos=True, cache_prompt=False
        )  # fmt: skip
        began = time.perf_counter()
        for _ in self.session.generate(request):
            pass
        return count / (time.perf_counter() - began)


def measure(ways: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """For each round tokens per second, and seconds of CPU time of the whole call."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    order = list(ways)
    for number in range(rounds):
        random.Random(number).shuffle(order)
        for name in order:
            before = time.process_time()
            speed = ways[name]()
            found[name].append((speed, time.process_time() - before))
            sys.stderr.write(f"round {number + 1}: {name} {speed:.2f} tokens/s\n")
    return found


def show(found: dict[str, list[tuple[float, float]]], base: str, tokens: dict[str, int]) -> None:
    """Medians, with the ratio to `base`: by the clock, and by CPU time a token, which other processes disturb less."""
    for name, runs in found.items():
        pairs = list(zip(runs, found[base], strict=True))
        ratios = sorted(one[0] / other[0] for one, other in pairs)
        share = tokens.get(name, 1)
        cpu = statistics.median(share * other[1] / one[1] for one, other in pairs)
        sys.stdout.write(
            f"{name:24} {statistics.median(run[0] for run in runs):8.2f} tokens/s {statistics.median(ratios):6.3f} x "
            f"{base} ({ratios[0]:.3f} to {ratios[-1]:.3f}), by CPU time {cpu:.3f}\n"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="Generation speed against the engine itself.")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--shape", choices=SHAPES, default="0.6B")
    parser.add_argument("--folder", type=Path, default=Path.cwd() / "models")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--long-rounds", type=int, default=3, help="of long answers, beside create_completion's")
    parser.add_argument("--long-tokens", type=int, default=1000)
    options = parser.parse_args()
    bench = Bench(options.model or make(options.shape, options.folder), options.threads, options.tokens)
    ways: dict[str, Callable[[], float]] = {
        "bare loop": bench.bare,
        "pajamas, greedy": bench.pajamas,
        "pajamas, full sampler": lambda: bench.pajamas(FULL),
        "pajamas, exact": lambda: bench.pajamas(exact=True),
        "pajamas, 4 at once": lambda: bench.concurrent(4),
        "pajamas, 8 at once": lambda: bench.concurrent(8),
    }
    sys.stdout.write(f"{bench.path.name}, {bench.threads} threads, {options.tokens} tokens\n")
    if options.rounds:
        for way in ways.values():  # to warm up
            way()
        show(measure(ways, options.rounds), "bare loop", {"pajamas, 4 at once": 4, "pajamas, 8 at once": 8})
    if options.long_rounds:
        ways = {
            "create_completion": lambda: bench.completion(options.long_tokens),
            "its defaults": lambda: bench.completion(options.long_tokens, defaults=True),
            f"pajamas, {options.long_tokens:,} tokens": lambda: bench.answer(options.long_tokens),
        }
        show(measure(ways, options.long_rounds), "create_completion", {})


if __name__ == "__main__":
    main()
