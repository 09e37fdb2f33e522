"""What `score` must give: the log-probabilities that everything else is measured by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pajamas.errors import PajamasError
from pajamas.features import Feature
from pajamas.testing.asking import ask
from pajamas.testing.group import UNDECLARED, Group, require

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pajamas.backend import Backend
    from pajamas.types import Artifact, Session

NORMALISED = 1e-3
"""How far the logarithm of a row's sum may be from 0."""
NEAR = 0.5
"""Nats below the likeliest token within which greedy generation may have chosen another: see `AGREE`."""
AGREE = 0.05
"""Nats by which a row may differ when it is computed again, and on average from what single steps report: quantized
engines round activations, and a batch rounds others than a step does."""


class Scoring(Group):
    """Next-token log-probabilities."""

    @pytest.fixture(scope="class")
    @classmethod
    def window(cls, session: Session) -> list[int]:
        """The token ids that are scored: the class's prompt and its greedy answer."""
        if Feature.SCORE not in session.features:
            pytest.skip(UNDECLARED)
        return [*session.tokenize(cls.prompt), *ask(session, cls.prompt).tokens]

    @pytest.fixture(scope="class")
    @classmethod
    def rows(cls, session: Session, window: list[int]) -> NDArray[np.float32]:
        """All rows of the window, [len(window), n_vocab]."""
        return _rows(session, window)

    def test_rows_are_float32_blocks(self, session: Session, window: list[int]) -> None:
        """`score` yields float32 blocks of shape [rows, n_vocab] that cover every position from `first` on, once."""
        import numpy as np

        blocks = list(session.score(window))
        kinds = {
            (type(block).__name__, str(getattr(block, "dtype", "")), getattr(block, "ndim", 0)) for block in blocks
        }
        require(
            kinds == {("ndarray", "float32", 2)},
            f"The blocks are {sorted(kinds)} (type, dtype, dimensions).",
            "Yield numpy arrays of float32, [rows, n_vocab].",
        )
        count, width = sum(len(block) for block in blocks), {block.shape[1] for block in blocks}
        vocabulary = session.architecture.vocab_size
        require(
            count == len(window) and len(width) == 1 and (vocabulary is None or width == {vocabulary}),
            f"For {len(window)} tokens there are {count} rows of the widths {sorted(width)}, with a vocabulary of "
            f"{vocabulary}.",
            "One row a position, over the whole vocabulary: row i predicts the token after token i.",
        )
        held, copies = [], []
        for block in session.score(window):
            held.append(block)
            copies.append(block.copy())
        require(
            all(map(np.array_equal, held, copies)),
            "A block changes when the next one is asked for.",
            "Do not yield memory that is used again while the caller may hold it.",
        )

    def test_rows_are_normalised(self, rows: NDArray[np.float32]) -> None:
        """Every row is a distribution: its probabilities sum to 1, and none is NaN or above 1."""
        import numpy as np

        require(
            not np.isnan(rows).any() and not (rows == np.inf).any() and float(rows.max()) <= NORMALISED,
            f"Rows hold NaN, infinity, or probabilities up to exp({float(np.nanmax(rows)):.3g}).",
            "Yield log-softmax of the logits.",
        )
        sums = np.logaddexp.reduce(rows.astype(np.float64), axis=1)
        require(
            bool((np.abs(sums) <= NORMALISED).all()),
            f"The logarithm of a row's sum is up to {float(np.abs(sums).max()):.4g} from 0.",
            "Take log-softmax in float32 or better: logits - logsumexp(logits).",
        )

    def test_the_likeliest_tokens_are_what_is_generated(
        self, session: Session, rows: NDArray[np.float32], window: list[int]
    ) -> None:
        """Token for token, the arg-max of the rows is what greedy generation says; near-ties may go either way."""
        start = len(session.tokenize(self.prompt))
        best = rows.argmax(axis=1)
        for place in range(start, len(window)):
            row, token = rows[place - 1], window[place]
            require(
                int(best[place - 1]) == token or float(row[token]) > float(row.max()) - NEAR,
                f"Greedy generation says token {token} at position {place}, where the rows hold {int(best[place - 1])} "
                f"to be the likeliest, by {float(row.max() - row[token]):.3g} nats.",
                "Row i predicts the token after token i. Score with the same model, cache and positions.",
            )

    def test_first_leaves_rows_out(self, session: Session, rows: NDArray[np.float32], window: list[int]) -> None:
        """With `first` the rows are those from that position on, and the same ones."""
        import numpy as np

        for first in (1, len(window) // 2, len(window) - 1):
            some = _rows(session, window, first)
            require(
                some.shape == rows[first:].shape and np.allclose(some, rows[first:], atol=AGREE),
                f"With first={first} there are {len(some)} rows of {len(window) - first}, or other ones.",
                "Compute the whole window, and leave out the rows before `first`.",
            )

    def test_windows_are_independent(
        self, session: Session, rows: NDArray[np.float32], window: list[int], registered: Backend, artifact: Artifact
    ) -> None:
        """A window is scored as if it were the first: nothing of an earlier one, or of an answer, is left."""
        import numpy as np

        ask(session, "Something else, to be in the way", max_tokens=3)
        _rows(session, window[::-1])
        after = _rows(session, window)
        fresh = registered.load(artifact, self.load_options)
        try:
            alone = _rows(fresh, window)
        finally:
            fresh.close()
        for other, where in ((after, "after another window"), (alone, "in a fresh session")):
            require(
                other.shape == rows.shape and np.allclose(other, rows, atol=AGREE),
                f"The same window has other rows {where}, by up to {float(np.abs(other - rows).max()):.3g}.",
                "Clear the cache before a window.",
            )

    def test_scoring_does_not_disturb_answers(self, session: Session, window: list[int]) -> None:
        """An answer is the same before and after a window was scored, and after one was left in the middle."""
        before = tuple(window[len(session.tokenize(self.prompt)) :])  # from before anything was scored
        _rows(session, window)
        for block in session.score(window):
            del block
            break
        after = ask(session, self.prompt)
        require(
            after.tokens == before,
            f"Before scoring the answer is {session.detokenize(list(before))!r}, after it {after.text!r}.",
            "Scoring uses cache cells of its own, or clears what it used.",
        )

    def test_logprobs_agree_with_scores(self, session: Session, rows: NDArray[np.float32], window: list[int]) -> None:
        """The log-probabilities that `generate` reports are those of the rows."""
        if Feature.LOGPROBS not in session.features:
            pytest.skip(UNDECLARED)
        told = ask(session, self.prompt, logprobs=0)
        start = len(session.tokenize(self.prompt))
        reported = [entry for chunk in told.chunks for entry in chunk.logprobs]
        apart = []
        for place, entry in enumerate(reported, start):
            if place >= len(window) or window[place] != entry.token_id:
                break  # a near-tie: from here on these are two texts
            apart.append(abs(float(rows[place - 1][entry.token_id]) - entry.logprob))
        require(
            apart and sum(apart) / len(apart) <= AGREE,
            f"Over {len(apart)} tokens they are {sum(apart) / max(len(apart), 1):.3g} nats apart on average.",
            "Both are log-softmax over the whole vocabulary, before temperature, bias and penalties.",
        )

    def test_what_cannot_be_scored_is_refused(self, session: Session, window: list[int]) -> None:
        """No tokens, more than the context holds, unknown ones, or a `first` outside raise a `PajamasError`."""
        size = session.context_length
        wrong = {
            "no tokens": ([], 0),
            f"{size + 1} tokens in a context of {size}": ((window * (size // len(window) + 1))[: size + 1], 0),
            "a negative token": ([*window[:2], -1], 0),
            "a token beyond the vocabulary": ([*window[:2], 1 << 30], 0),
            "first=-1": (window, -1),
            f"first={len(window)} of {len(window)} tokens": (window, len(window)),
        }
        for what, (tokens, first) in wrong.items():
            try:
                count = sum(len(block) for block in session.score(tokens, first))
            except PajamasError:
                continue
            except Exception as error:  # whatever it is, it is not the error for this
                seen = f"raise {type(error).__name__}: {error}"
            else:
                seen = f"give {count} rows"
            require(False, f"For {what} `score` would {seen}.", "Check the arguments first, and raise UsageError.")


def _rows(session: Session, tokens: list[int], first: int = 0) -> NDArray[np.float32]:
    import numpy as np

    blocks = [np.array(block) for block in session.score(tokens, first)]
    return np.concatenate(blocks) if blocks else np.zeros((0, 0), np.float32)
