"""From a row of logits to a token."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import numpy as np

from pajamas.errors import EngineError
from pajamas.sampling_ranges import check_ranges
from pajamas_gguf.session.chain import Candidates, Chain
from pajamas_gguf.session.penalties import Penalties
from pajamas_gguf.session.shortlist import shortlist

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from pajamas.types import Sampling
    from pajamas_gguf.session.grammar import Grammar

_RANDOM_SEED = 0xFFFFFFFF  # the one seed that means "any" to the engine
_GRAMMAR_STEPS = (256, 8192)


class Sampler:
    """Chooses as llama.cpp's chain would: logit bias, penalties, top-k, typical, top-p, min-p, temperature, draw.

    Temperature 0 is the most likely token, whatever else is set. A grammar is asked about the chosen token first and
    about others only if it refuses. What takes the engine milliseconds on a large vocabulary is done on a shortlist
    where that makes no difference.
    """

    def __init__(
        self,
        sampling: Sampling,
        vocabulary_size: int,
        *,
        prompt: list[int],
        forbidden: Iterable[int] = (),
        grammar: Grammar | None = None,
    ) -> None:
        check_ranges(sampling, vocabulary_size)
        bias = dict(sampling.logit_bias) | dict.fromkeys(forbidden, -np.inf)
        self._bias_ids = np.fromiter(bias, np.intp, len(bias))
        self._bias = np.fromiter(bias.values(), np.float32, len(bias))
        penalties = Penalties(sampling, prompt)
        self._penalties = penalties if penalties.active else None
        self._greedy = sampling.temperature == 0
        self._top_k = sampling.top_k or 0
        self._all = np.arange(vocabulary_size)
        self._grammar = grammar
        self._candidates = Candidates()
        seed = secrets.randbits(32) if sampling.seed is None else sampling.seed
        self._chain = None if self._greedy else Chain(sampling, seed % _RANDOM_SEED)

    def sample(self, logits: NDArray[np.float32]) -> int | None:
        """The next token; None if the grammar is complete and allows no other. Changes the logits in place.

        Raises:
            EngineError: the logits are not numbers, or nothing is allowed.
        """
        if len(self._bias_ids):
            logits[self._bias_ids] += self._bias
        if self._penalties:
            self._penalties.apply(logits)
        best = int(logits.argmax())
        if not np.isfinite(logits[best]):
            if np.isneginf(logits[best]):
                raise EngineError("No token is allowed.", "The logit bias forbids all of them.", "Forbid fewer.")
            raise EngineError(
                "The model computes values that are not numbers.", f"The largest logit is {logits[best]}.",
                "The file may be damaged: verify it, or get it again.",
            )  # fmt: skip
        first = self._choose(logits, best)
        token: int | None = first
        if self._grammar and not self._grammar.allows([first]).any():
            token = self._choose_allowed(logits, self._grammar)
        if token is not None:
            self._accept(token)
        return token

    def _choose(self, logits: NDArray[np.float32], best: int) -> int:
        if self._chain is None:
            return best
        ids = shortlist(logits, self._top_k) if self._top_k else self._all
        self._candidates.fill(ids, logits[ids] if self._top_k else logits)
        return self._chain.draw(self._candidates)

    def _choose_allowed(self, logits: NDArray[np.float32], grammar: Grammar) -> int | None:
        """As `_choose`, among the tokens that the grammar allows."""
        needed = 1 if self._chain is None else self._top_k
        for ids in self._growing(logits, needed):
            allowed = ids[grammar.allows(ids) & (logits[ids] > -np.inf)]
            if len(ids) == len(self._all) or (needed and len(allowed) >= needed):
                break
        if not len(allowed):
            if grammar.complete:
                return None
            raise EngineError(
                "The grammar allows no token here.",
                "This vocabulary cannot write what it asks for.",
                "Change the grammar.",
            )
        if self._chain is None:
            return int(allowed[logits[allowed].argmax()])
        self._candidates.fill(allowed, logits[allowed])
        return self._chain.draw(self._candidates)

    def _growing(self, logits: NDArray[np.float32], needed: int) -> Iterator[NDArray[np.intp]]:
        """Longer and longer shortlists: a grammar takes its time for each token that it is asked about."""
        for count in _GRAMMAR_STEPS:
            if needed and needed < count < len(self._all):
                yield shortlist(logits, count)
        yield self._all

    def _accept(self, token: int) -> None:
        if self._penalties:
            self._penalties.accept(token)
        if self._grammar:
            self._grammar.accept(token)
