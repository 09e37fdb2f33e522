"""Tokens a second through a session, against a bare loop over the same library and against llama-cpp-python's own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bare
from bare import PROMPT
from ratios import Ratio, by_turns, ratio

from pajamas.types import Artifact, GenerateRequest, LoadOptions, Sampling
from pajamas_gguf import engine
from pajamas_gguf.session.load import load

GREEDY = Sampling(temperature=0)
FULL = Sampling(
    temperature=0.8, top_k=40, top_p=0.95, min_p=0.05, typical_p=0.99, repetition_penalty=1.1, frequency_penalty=0.1
)
CONTEXT = 4096


class Generation:
    """A session, a bare context on the session's own model, and llama-cpp-python's `Llama` where it is asked for."""

    def __init__(self, path: Path, threads: int | None = None, context: int = CONTEXT) -> None:
        self.path = path
        self.session = load(Artifact(path=path, format="gguf"), LoadOptions(context_length=context, threads=threads))
        self.threads = self.session._parameters.threads
        self._llama: dict[bool, Any] = {}
        self._bare: Any = None
        self._many: Any = None

    def close(self) -> None:
        for context in (self._bare, self._many):
            if context is not None:
                engine.library().llama_free(context)
        for llama in self._llama.values():
            llama.close()
        self.session.close()

    def bare(self, count: int) -> float:
        """llama_decode in a loop with the arg-max by numpy: nothing else."""
        model = self.session._model.pointer
        if self._bare is None:
            self._bare = bare.new_context(model, length=CONTEXT, threads=self.threads)
        return bare.decode(model, self._bare, count)

    def bare_together(self, sequences: int, count: int) -> float:
        """The same with a token of each of several sequences in a step."""
        model = self.session._model.pointer
        if self._many is None:
            self._many = bare.new_context(model, length=CONTEXT, threads=self.threads, sequences=8)
        return bare.decode_together(model, self._many, sequences, count)

    def pajamas(self, count: int, sampling: Sampling = GREEDY, *, exact: bool = False) -> float:
        """A streamed answer, from its first token on."""
        stream = self.session.generate(_request(count, sampling=sampling, exact=exact))
        next(stream)
        began = time.perf_counter()
        rest = sum(len(chunk.token_ids) for chunk in stream)
        return rest / (time.perf_counter() - began)

    def together(self, callers: int, count: int) -> float:
        """All answers of so many threads: tokens over the time in which all of them are generated."""
        ready = threading.Barrier(callers + 1)

        def run(number: int) -> None:
            stream = self.session.generate(_request(count, token_ids=(*PROMPT, 2000 + number)))
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
        return callers * (count - 1) / seconds

    def whole(self, count: int) -> float:
        """A streamed answer, prompt included."""
        began = time.perf_counter()
        for _ in self.session.generate(_request(count)):
            pass
        return count / (time.perf_counter() - began)

    def completion(self, count: int, *, defaults: bool) -> float:
        """The same by llama-cpp-python's `create_completion(stream=True)`."""
        import llama_cpp

        if defaults not in self._llama:
            options: dict[str, Any] = {} if defaults else {
                "n_threads": self.threads, "n_threads_batch": self.threads, "flash_attn_type": -1,
            }  # fmt: skip
            self._llama[defaults] = llama_cpp.Llama(str(self.path), n_ctx=CONTEXT, verbose=False, **options)
        llama = self._llama[defaults]
        llama.reset()
        bias = {str(token): -1e9 for token in self.session._model.end_tokens}
        began = time.perf_counter()
        for _ in llama.create_completion(
            list(PROMPT), max_tokens=count, temperature=0.0, stream=True, logit_bias=bias
        ):  # fmt: skip
            pass
        return count / (time.perf_counter() - began)


def _request(count: int, **given: Any) -> GenerateRequest:
    values: dict[str, Any] = {"token_ids": PROMPT, "sampling": GREEDY, "ignore_eos": True, "cache_prompt": False}
    return GenerateRequest(**{**values, "max_tokens": count, **given})


def measure(
    path: Path, *, threads: int | None, tokens: int, rounds: int, long_tokens: int, long_rounds: int
) -> list[Ratio]:
    """Every ratio of generation speed. `tokens` are of a short answer, `long_tokens` of one beside llama-cpp-python."""
    bench = Generation(path, threads)
    ways: dict[str, Callable[[], float]] = {
        "bare": lambda: bench.bare(tokens),
        "greedy": lambda: bench.pajamas(tokens),
        "full": lambda: bench.pajamas(tokens, FULL),
        "exact": lambda: bench.pajamas(tokens, exact=True),
        "4": lambda: bench.together(4, tokens),
        "8": lambda: bench.together(8, tokens),
        "bare 4": lambda: bench.bare_together(4, tokens),
        "bare 8": lambda: bench.bare_together(8, tokens),
    }
    found = by_turns(ways, rounds)
    ratios = [
        ratio("one greedy answer / bare decode loop", found["greedy"], found["bare"], work=1, reach=">= 0.98"),
        ratio("the same, full sampler chain", found["full"], found["bare"], work=1, reach=">= 0.96"),
        ratio("the same, exact=True", found["exact"], found["bare"], work=1),
        ratio("4 requests at once / 1", found["4"], found["greedy"], work=4, reach=">= 2.0"),
        ratio("8 requests at once / 1", found["8"], found["greedy"], work=8),
        ratio("4 requests at once / bare loop over batches of 4", found["4"], found["bare 4"], work=1),
        ratio("8 requests at once / bare loop over batches of 8", found["8"], found["bare 8"], work=1),
    ]
    if long_rounds:
        ways = {
            "equal": lambda: bench.completion(long_tokens, defaults=False),
            "pajamas": lambda: bench.whole(long_tokens),
            "defaults": lambda: bench.completion(long_tokens, defaults=True),
        }
        found = by_turns(ways, long_rounds, warm=False)
        name = f"{long_tokens:,} tokens streamed / create_completion(stream=True)"
        ratios += [
            ratio(f"{name}, equal settings", found["pajamas"], found["equal"], work=1, reach=">= 1.05"),
            ratio("the same, both at their defaults", found["pajamas"], found["defaults"], work=1, reach=">= 1.5"),
        ]
    bench.close()
    return ratios
