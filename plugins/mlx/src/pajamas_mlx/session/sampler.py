"""From a row of logits to a token.

The chain is that of the GGUF backend, in llama.cpp's order, and not mlx-lm's, which draws from MLX's global random
state, counts penalties over 20 tokens and takes top-p before top-k: the same options mean the same on both.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from pajamas.errors import EngineError
from pajamas.sampling_ranges import check_ranges
from pajamas_mlx.session.penalties import Penalties

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pajamas.types import Sampling
    from pajamas_mlx.session.json_mask import JSONMask

_SHORTLIST = 1024


class Sampler:
    """Logit bias, penalties, JSON schema, top-k, top-p, min-p, temperature, draw. Temperature 0 is the likeliest token.

    Raises:
        UsageError: an option out of its range, or a bias for a token that does not exist.
    """

    def __init__(
        self,
        sampling: Sampling,
        vocabulary_size: int,
        *,
        prompt: list[int],
        forbidden: Iterable[int] = (),
        mask: JSONMask | None = None,
    ) -> None:
        check_ranges(sampling, vocabulary_size)
        bias = dict(sampling.logit_bias) | dict.fromkeys(forbidden, -math.inf)
        self._bias_ids = np.fromiter(bias, np.intp, len(bias))
        self._bias = np.fromiter(bias.values(), np.float32, len(bias))
        penalties = Penalties(sampling, prompt)
        self._penalties = penalties if penalties.active else None
        self._mask = mask
        self._temperature = 1.0 if sampling.temperature is None else sampling.temperature
        self._top_k = sampling.top_k or 0
        self._top_p = 1.0 if sampling.top_p is None else sampling.top_p
        self._min_p = sampling.min_p or 0.0
        self._random = np.random.default_rng(secrets.randbits(64) if sampling.seed is None else sampling.seed % 2**64)

    def sample(self, logits: NDArray[np.float32]) -> int | None:
        """The next token; None where the JSON is complete. Changes the logits in place.

        Raises:
            EngineError: the logits are not numbers, or nothing is allowed.
        """
        self._check_numbers(logits)
        if len(self._bias_ids):
            logits[self._bias_ids] += self._bias
        if self._penalties:
            self._penalties.apply(logits)
        if self._mask:
            if self._mask.complete:
                return None
            self._mask.apply(logits)
        best = int(logits.argmax())
        if np.isneginf(logits[best]):
            raise EngineError("No token is allowed.", "The logit bias, or the JSON schema, forbids them all.", "")
        token = best if self._temperature == 0 else self._draw(logits)
        if self._penalties:
            self._penalties.accept(token)
        if self._mask:
            self._mask.accept(token)
        return token

    def _draw(self, logits: NDArray[np.float32]) -> int:
        """One of the tokens that top-k, top-p and min-p leave, by its probability at the temperature."""
        ids = self._kept(logits)
        scaled = logits[ids].astype(np.float64) / self._temperature
        weights = np.cumsum(np.exp(scaled - scaled.max()))
        place = int(np.searchsorted(weights, self._random.random() * weights[-1], side="right"))
        return int(ids[min(place, len(ids) - 1)])

    def _kept(self, logits: NDArray[np.float32]) -> NDArray[np.intp]:
        if not self._top_k and self._top_p >= 1:
            ids = np.arange(len(logits))
        else:
            ids = ranked(logits, self._top_k) if self._top_k else self._nucleus_candidates(logits)
        if self._top_p < 1:
            # Of what top-k has left; above that the candidates hold what the nucleus needs.
            whole = logits[ids] if self._top_k else logits
            total = np.exp(whole.astype(np.float64) - logits[ids[0]]).sum()
            sums = np.cumsum(np.exp(logits[ids].astype(np.float64) - logits[ids[0]])) / total
            ids = ids[: int(np.searchsorted(sums, self._top_p)) + 1]
        if self._min_p:
            values = logits[ids]
            ids = ids[values >= values.max() + math.log(self._min_p)]
        return ids

    def _nucleus_candidates(self, logits: NDArray[np.float32]) -> NDArray[np.intp]:
        """The likeliest tokens in order, enough of them for top-p: sorting a large vocabulary takes long."""
        ids = ranked(logits, _SHORTLIST)
        powers = np.exp(logits.astype(np.float64) - logits[ids[0]])
        return ids if powers[ids].sum() >= self._top_p * powers.sum() else ranked(logits, len(logits))

    def _check_numbers(self, logits: NDArray[np.float32]) -> None:
        largest = logits.max()  # NaN if there is one
        if not np.isfinite(largest):
            raise EngineError(
                "The model computes values that are not numbers.",
                f"The largest logit is {largest}.",
                "The files may be damaged: verify them, or get them again. Or load with compute_dtype float32.",
            )


def ranked(values: NDArray[np.float32], count: int) -> NDArray[np.intp]:
    """Places of the `count` largest values, the largest first; of equal ones the first."""
    if count < len(values):
        least = np.partition(values, len(values) - count)[len(values) - count]
        found = np.flatnonzero(values >= least)
    else:
        found = np.arange(len(values))
    return found[np.lexsort((found, -values[found]))][:count]
