"""Time to the first token of a prompt whose beginning is known already, against one that is all new."""

from __future__ import annotations

import time
from itertools import count
from pathlib import Path

import bare
from ratios import Ratio, by_turns, ratio

from pajamas.types import Artifact, GenerateRequest, LoadOptions, Sampling
from pajamas_gguf import engine
from pajamas_gguf.session.load import load


def measure(path: Path, *, threads: int | None, length: int, shares: tuple[float, ...], rounds: int) -> list[Ratio]:
    """A ratio for each share of new tokens in prompts of `length` tokens."""
    # With room for all of them: else the known prompt might have to make way for another.
    context = 4 * length
    session = load(Artifact(path=path, format="gguf"), LoadOptions(context_length=context, threads=threads))
    loaded = bare.new_context(session._model.pointer, length=context, threads=session._parameters.threads)
    fresh = count(300)

    def first_token(tokens: tuple[int, ...], *, cached: bool) -> float:
        request = GenerateRequest(
            token_ids=tokens, sampling=Sampling(temperature=0), max_tokens=1, ignore_eos=True, cache_prompt=cached
        )
        began = time.perf_counter()
        for _ in session.generate(request):
            pass
        return time.perf_counter() - began

    def new(size: int) -> tuple[int, ...]:
        begin = next(fresh) * 97 % 100_000
        return tuple(range(begin, begin + size))

    known = new(length)
    first_token(known, cached=True)
    ways = {"cold": lambda: first_token(new(length), cached=False)}
    ways["bare cold"] = lambda: bare.last_part(loaded, length, length)
    for share in shares:
        size = round(share * length)
        ways[str(share)] = lambda size=size: first_token(known[: length - size] + new(size), cached=True)  # type: ignore[misc]
        ways[f"bare {share}"] = lambda size=size: bare.last_part(loaded, length, size)  # type: ignore[misc]
    found = by_turns(ways, rounds)
    engine.library().llama_free(loaded)
    session.close()
    return [
        ratio(
            f"time to first token, {share:.0%} of {length:,} tokens new / all new",
            found[str(share)],
            found["cold"],
            unit="s",
            reach=f"<= {1.1 * share + 0.02:.3f}",
        )
        for share in shares
    ] + [
        ratio(
            f"the engine itself, the last {share:.0%} of {length:,} tokens / all",
            found[f"bare {share}"],
            found["bare cold"],
            unit="s",
        )
        for share in shares
    ]
