"""Windows scored by one session, or by two in lock step: at most one block of logits of each is in memory."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import TYPE_CHECKING

import numpy as np

from pajamas.errors import EngineError
from pajamas_validate.divergence import Divergence, not_numbers
from pajamas_validate.scores import WindowScores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pajamas.session import Session
    from pajamas_validate.reference import Writer
    from pajamas_validate.windows import Windows

    Blocks = Generator[NDArray[np.float32], None, None]


def score_alone(session: Session, windows: Windows, number: int, writer: Writer | None = None) -> WindowScores:
    """One window by one session, which `writer` is told of too.

    Raises:
        EngineError: its answers are not log-probabilities of these tokens.
    """
    targets = windows.targets(number)
    logprobs = np.empty(windows.rows, np.float32)
    done = 0
    with contextlib.closing(blocks(session, windows, number)) as parts:
        for block in parts:
            end = done + len(block)
            logprobs[done:end] = right_logprobs(block, targets[done:end])
            if writer is not None:
                writer.add(block, targets[done:end])
            done = end
    if writer is not None:
        writer.end_window()
    return WindowScores(logprobs=logprobs)


def score_pair(
    original: Session, candidate: Session, windows: Windows, number: int, writer: Writer | None = None
) -> WindowScores:
    """Both score the same token ids; `writer` is told what the original says.

    Where one's vocabulary is padded, the tokens that both have are compared.
    """
    targets = windows.targets(number)
    rows = windows.rows
    logprobs, original_logprobs, divergence = (np.empty(rows, np.float32) for _ in range(3))
    same_top = np.empty(rows, np.bool_)
    measure: Divergence | None = None
    done = 0
    with (
        contextlib.closing(blocks(original, windows, number)) as left,
        contextlib.closing(blocks(candidate, windows, number)) as right,
    ):
        for first, second in _aligned(left, right):
            size = min(first.shape[1], second.shape[1])
            measure = measure or Divergence(size)
            here = slice(done, done + len(first))
            original_logprobs[here] = right_logprobs(first, targets[here])
            logprobs[here] = right_logprobs(second, targets[here])
            divergence[here], same_top[here] = measure.compare(first[:, :size], second[:, :size])
            if writer is not None:
                writer.add(first, targets[here])
            done += len(first)
    if writer is not None:
        writer.end_window()
    return WindowScores(
        logprobs=logprobs, original_logprobs=original_logprobs, divergence=divergence, same_top=same_top
    )


def blocks(session: Session, windows: Windows, number: int) -> Blocks:
    """The session's blocks for the scored rows of a window: together exactly `windows.rows` rows.

    Raises:
        EngineError: the session gives fewer.
    """
    left = windows.rows
    for block in session.score(windows.ids(number), windows.first):
        # Asked for to the end, though the last row predicts what is not in the window: so the session is free again.
        if left and len(block):
            part = block[:left]
            left -= len(part)
            yield part
    if left:
        raise EngineError(
            f"The backend {session.backend!r} scores too few tokens.",
            f"{left} rows of a window of {windows.context} tokens are missing.",
            "Its `score` is wrong: tell its authors.",
        )


def _aligned(first: Blocks, second: Blocks) -> Generator[tuple[NDArray[np.float32], NDArray[np.float32]], None, None]:
    """Two streams of blocks cut into pieces of equally many rows: backends choose the size of their blocks."""
    left, right = next(first, None), next(second, None)
    while left is not None and right is not None:
        count = min(len(left), len(right))
        yield left[:count], right[:count]
        left = left[count:] if len(left) > count else next(first, None)
        right = right[count:] if len(right) > count else next(second, None)


def right_logprobs(block: NDArray[np.float32], targets: NDArray[np.int32]) -> NDArray[np.float32]:
    """The right tokens' log-probabilities, [rows].

    Raises:
        EngineError: one is not a number, or the model has no such token.
    """
    if targets.max() >= block.shape[1]:
        raise EngineError(
            f"The model has no token {targets.max()}, which its tokenizer makes of the text.",
            f"It gives probabilities for {block.shape[1]:,} tokens.",
            "Its vocabulary and its weights do not belong together: convert the model again.",
        )
    values: NDArray[np.float32] = block[np.arange(len(block)), targets]
    if np.isnan(values).any():
        raise not_numbers()
    return values
