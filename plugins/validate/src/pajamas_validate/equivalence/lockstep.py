"""Several sessions score the same tokens in lock step: at most one block of each is in memory."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pajamas.errors import EngineError
from pajamas_validate.equivalence.distance import Rows, compare, join

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pajamas.session import Session

    Blocks = Generator[NDArray[np.float32], None, None]

Pair = tuple[str, str]


def score_pairs(
    sessions: Mapping[str, Session], pairs: Mapping[Pair, float], token_ids: Sequence[int], first: int
) -> dict[Pair, Rows]:
    """Every pair's distances at positions `first` to the last but one, each session asked once.

    Args:
        sessions: by a key of one's own; those of no pair are not asked.
        pairs: keys of two sessions to the noise within which tokens are tied, in nats.

    Raises:
        EngineError: a session gives too few rows, or values that are not numbers.
    """
    keys = list(dict.fromkeys(key for pair in pairs for key in pair))
    rows = len(token_ids) - 1 - first
    parts: dict[Pair, list[Rows]] = {pair: [] for pair in pairs}
    with contextlib.ExitStack() as stack:
        streams = [
            stack.enter_context(contextlib.closing(_blocks(sessions[key], list(token_ids), first, rows)))
            for key in keys
        ]
        for aligned in _aligned(streams):
            block = dict(zip(keys, aligned, strict=True))
            for (left, right), noise in pairs.items():
                parts[left, right].append(compare(block[left], block[right], noise))
    return {pair: join(found) for pair, found in parts.items()}


def _blocks(session: Session, token_ids: list[int], first: int, rows: int) -> Blocks:
    left = rows
    for block in session.score(token_ids, first):
        # Asked for to the end, though the last row predicts what is not in the text: so the session is free again.
        if left and len(block):
            part = block[:left]
            left -= len(part)
            yield part
    if left:
        raise EngineError(
            f"The backend {session.backend!r} scores too few tokens.",
            f"{left} rows of {len(token_ids)} tokens are missing.",
            "Its `score` is wrong: tell its authors.",
        )


def _aligned(streams: Sequence[Blocks]) -> Generator[list[NDArray[np.float32]], None, None]:
    """Streams of blocks cut into pieces of equally many rows: backends choose the size of their blocks."""
    current = [next(stream, None) for stream in streams]
    while (blocks := [block for block in current if block is not None]) and len(blocks) == len(current):
        count = min(len(block) for block in blocks)
        yield [block[:count] for block in blocks]
        current = [
            block[count:] if len(block) > count else next(stream, None)
            for block, stream in zip(blocks, streams, strict=True)
        ]
