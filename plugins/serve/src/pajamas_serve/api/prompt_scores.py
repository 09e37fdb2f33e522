"""How likely each token of a prompt was: what `echo` with `logprobs` gives."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pajamas.worker.asynchronous import AsyncWorker


@frozen
class TokenScore:
    """One token that was there."""

    token: int
    logprob: float | None
    """Natural logarithm; None for the first one, which nothing comes before."""
    top: tuple[tuple[int, float], ...]
    """The most likely tokens at its place, best first."""


async def score_prompt(worker: AsyncWorker, tokens: list[int], end: int | None, count: int) -> list[TokenScore]:
    """A score for each token of the prompt, and for `end` as if it came next; with the `count` likeliest at its place.

    Raises:
        ContextOverflow: the prompt does not fit.
        UsageError: there is no such token.
    """
    scores = [TokenScore(tokens[0], None, ())]
    wanted = tokens if end is None else [*tokens, end]
    if len(wanted) == 1:
        return scores
    stream = worker.score(wanted[:-1])
    try:
        async for block in stream:
            follow = wanted[len(scores) : len(scores) + len(block)]
            scores += await asyncio.to_thread(_read, block, follow, count)
    finally:
        stream.close()
    return scores


def _read(block: NDArray[np.float32], follow: list[int], count: int) -> list[TokenScore]:
    """Row i of float32 [rows, n_vocab] tells how likely each token was where `follow[i]` stands."""
    import numpy as np

    chosen = block[np.arange(len(follow)), follow]
    count = min(count, block.shape[1])
    if not count:
        return [TokenScore(token, float(value), ()) for token, value in zip(follow, chosen, strict=True)]
    best = np.argpartition(block, -count, axis=1)[:, -count:] if count < block.shape[1] else np.argsort(block, axis=1)
    scores = []
    for row, places, token, value in zip(block, best, follow, chosen, strict=True):
        order = places[np.lexsort((places, -row[places]))]  # equal ones by number, so that the order is certain
        scores.append(TokenScore(token, float(value), tuple((int(place), float(row[place])) for place in order)))
    return scores
