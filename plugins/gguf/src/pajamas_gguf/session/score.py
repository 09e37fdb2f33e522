"""Log-probabilities of the next token over a window of text."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from typing import TYPE_CHECKING

from pajamas_gguf.session.logprobs import log_softmax

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    import numpy as np
    from numpy.typing import NDArray

    from pajamas_gguf.session.context import Context

_LOGITS_BYTES = 160 << 20
_PIECE_BYTES = 2 << 20
"""What is given out at once: memory that is used again for the next piece, where fresh pages cost half of the time."""
_MOST_WORKERS = 8


def rows_at_once(vocabulary_size: int) -> int:
    """Rows of one computation: at most 160 MiB of logits, at least 32 to keep the engine busy, at most what it takes.

    A power of two: a window is then cut into equal parts, which is an eighth faster than 110 rows at a time.
    """
    rows = max(32, min(512, _LOGITS_BYTES // (4 * vocabulary_size)))
    return 1 << (rows.bit_length() - 1)


def blocks(context: Context, tokens: list[int], first: int, threads: int) -> Iterator[NDArray[np.float32]]:
    """float32 [rows, vocabulary] for positions `first` on, the rows in order; a window knows nothing of another.

    :param threads: how many may work on the logits; the engine rests meanwhile.
    """
    context.clear()
    count = min(threads, _MOST_WORKERS)
    workers = _workers(count)
    # Cut at the same places whatever `first` is, because rounding depends on what is computed together.
    for begin in range(0, len(tokens), context.rows):
        chunk = tokens[begin : begin + context.rows]
        wanted = max(0, min(len(chunk), begin + len(chunk) - first))
        context.batch.clear()
        context.batch.add(chunk, begin, 0, outputs=wanted)
        context.compute_long()
        if wanted:
            yield from _normalised(context.all_logits(wanted), workers, count)


@cache
def _workers(count: int) -> ThreadPoolExecutor:
    """Kept from window to window: starting threads takes as long as a tenth of a small window's rows."""
    return ThreadPoolExecutor(count, thread_name_prefix="score")


def _normalised(logits: NDArray[np.float32], workers: ThreadPoolExecutor, ahead: int) -> Iterator[NDArray[np.float32]]:
    """Pieces of log-probabilities in order, at most `ahead` of them before they are asked for."""
    rows = max(1, _PIECE_BYTES // logits[0].nbytes)
    waiting: deque[Future[NDArray[np.float32]]] = deque()
    try:
        for start in range(0, len(logits), rows):
            waiting.append(workers.submit(log_softmax, logits[start : start + rows]))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        wait(waiting)  # they read what the engine may free as soon as this ends
