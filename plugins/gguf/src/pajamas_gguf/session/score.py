"""Log-probabilities of the next token over a window of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pajamas_gguf.session.logprobs import log_softmax

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from pajamas_gguf.session.context import Context

_LOGITS_BYTES = 128 << 20
_PIECE_BYTES = 4 << 20
"""What is given out at once: memory that is used again for the next piece, where fresh pages cost half of the time."""


def rows_at_once(vocabulary_size: int) -> int:
    """Rows of one computation: at most 128 MiB of logits, at least 32 to keep the engine busy, at most what it takes.

    A power of two: a window is then cut into equal parts, which is an eighth faster than 110 rows at a time.
    """
    rows = max(32, min(512, _LOGITS_BYTES // (4 * vocabulary_size)))
    return 1 << (rows.bit_length() - 1)


def blocks(context: Context, tokens: list[int], first: int) -> Iterator[NDArray[np.float32]]:
    """float32 [rows, vocabulary] for positions `first` on, the rows in order; a window knows nothing of another."""
    context.clear()
    # Cut at the same places whatever `first` is, because rounding depends on what is computed together.
    for begin in range(0, len(tokens), context.rows):
        chunk = tokens[begin : begin + context.rows]
        wanted = max(0, min(len(chunk), begin + len(chunk) - first))
        context.batch.clear()
        context.batch.add(chunk, begin, 0, outputs=wanted)
        context.compute_long()
        if not wanted:
            continue
        logits = context.all_logits(wanted)
        piece = max(1, _PIECE_BYTES // logits[0].nbytes)
        for start in range(0, wanted, piece):
            yield log_softmax(logits[start : start + piece])
