"""Log-probabilities of the next token over a window of text."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

from pajamas.errors import EngineError
from pajamas_mlx import engine
from pajamas_mlx.session.logprobs import log_softmax

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from pajamas_mlx.session.model import Model

_LOGITS_BYTES = 64 << 20
_PIECE_BYTES = 4 << 20
_MOST_ROWS, _LEAST_ROWS = 512, 32


def blocks(
    model: Model, device: str, tokens: list[int], first: int, cancelled: threading.Event
) -> Iterator[NDArray[np.float32]]:
    """float32 [rows, vocabulary] for positions `first` on, the rows in order; a window has a cache of its own.

    The window is computed in parts of at most 64 MiB of log-probabilities (at least 32 rows), cut at the same places
    whatever `first` is, because rounding depends on what is computed together. A block is at most 4 MiB, or one row.

    Raises:
        EngineError: the session was closed or cancelled from another thread.
    """
    count = max(_LEAST_ROWS, min(_MOST_ROWS, _LOGITS_BYTES // (4 * model.vocabulary_size)))
    count = 1 << (count.bit_length() - 1)
    cache = model.new_cache()
    for begin in range(0, len(tokens), count):
        if cancelled.is_set():
            raise EngineError("The scoring was cancelled.", "Another thread has closed the session.", "")
        part, skipped = tokens[begin : begin + count], max(0, first - begin)
        if skipped >= len(part):
            engine.compute(device, partial(model.advance, part, cache))
            continue
        rows = engine.compute(device, partial(model.all_logits, part, cache, skipped))
        piece = max(1, _PIECE_BYTES // rows[0].nbytes)
        for start in range(0, len(rows), piece):
            yield log_softmax(rows[start : start + piece])
