"""Windows scored by one session, or by two in lock step: some blocks of logits are in memory, never a whole window."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from attrs import frozen

from pajamas.errors import EngineError
from pajamas_validate.divergence import not_numbers
from pajamas_validate.judges import PIECE
from pajamas_validate.scores import WindowScores

if TYPE_CHECKING:
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from pajamas.session import Session
    from pajamas_validate.divergence import Divergence
    from pajamas_validate.judges import Judges
    from pajamas_validate.reference import Writer
    from pajamas_validate.windows import Windows

    Blocks = Generator[NDArray[np.float32], None, None]


@frozen(eq=False)
class Begun:
    """A window whose engines are done with it, and whose last rows may still be judged."""

    scores: WindowScores
    parts: tuple[Future[None], ...] = ()

    def result(self) -> WindowScores:
        """Waits until all rows are judged, and raises what judging them has raised."""
        for part in self.parts:
            part.result()
        return self.scores

    @property
    def is_whole(self) -> bool:
        """Whether all rows are judged."""
        return all(part.done() and part.exception() is None for part in self.parts)


def score_alone(session: Session, windows: Windows, number: int, writer: Writer | None = None) -> Begun:
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
    return Begun(scores=WindowScores(logprobs=logprobs))


def score_pair(
    original: Session,
    candidate: Session,
    windows: Windows,
    number: int,
    judges: Judges,
    measure: Divergence,
    writer: Writer | None = None,
) -> Begun:
    """Both score the same token ids; `writer` is told what the original says.

    Where one's vocabulary is padded, the tokens that both have are compared. The rows are judged by `judges`: the last
    ones while the engines go on with the next window.
    """
    scores = WindowScores(
        logprobs=np.empty(windows.rows, np.float32),
        original_logprobs=np.empty(windows.rows, np.float32),
        divergence=np.empty(windows.rows, np.float32),
        same_top=np.empty(windows.rows, np.bool_),
    )
    targets = windows.targets(number)
    parts, done = [], 0
    with (
        contextlib.closing(blocks(original, windows, number)) as left,
        contextlib.closing(blocks(candidate, windows, number)) as right,
    ):
        for first, second in _aligned(left, right):
            here = slice(done, done + len(first))
            judge = partial(_judge, first, second, targets[here], scores, here, measure)
            parts.append(judges.judge(first.nbytes + second.nbytes, judge))
            if writer is not None:
                writer.add(first, targets[here])
            done += len(first)
    if writer is not None:
        writer.end_window()
    return Begun(scores=scores, parts=tuple(parts))


def _judge(
    original: NDArray[np.float32],
    candidate: NDArray[np.float32],
    targets: NDArray[np.int32],
    scores: WindowScores,
    here: slice,
    measure: Divergence,
) -> None:
    """Fill in the rows `here` of a window's scores from both models' log-probabilities for them."""
    assert scores.original_logprobs is not None and scores.divergence is not None and scores.same_top is not None
    scores.original_logprobs[here] = right_logprobs(original, targets)
    scores.logprobs[here] = right_logprobs(candidate, targets)
    size = min(original.shape[1], candidate.shape[1])
    scores.divergence[here], scores.same_top[here] = measure.compare(original[:, :size], candidate[:, :size])


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
        count = min(len(left), len(right), max(1, PIECE // max(left.shape[1], right.shape[1])))
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
