"""Repetition, presence and frequency penalties, as llama.cpp's sampler applies them."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pajamas.types import Sampling

WINDOW = 64
"""Tokens that count: the last of prompt and answer, llama.cpp's default."""


class Penalties:
    """Changes the logits of the tokens in the window; the rest of the vocabulary is not touched."""

    def __init__(self, sampling: Sampling, prompt: list[int]) -> None:
        self._repetition = np.float32(1.0 if sampling.repetition_penalty is None else sampling.repetition_penalty)
        self._presence = np.float32(sampling.presence_penalty or 0.0)
        self._frequency = np.float32(sampling.frequency_penalty or 0.0)
        self._last: deque[int] = deque(prompt[-WINDOW:], maxlen=WINDOW)
        self._counts = Counter(self._last)

    @property
    def active(self) -> bool:
        return bool(self._repetition != 1 or self._presence or self._frequency)

    def apply(self, logits: NDArray[np.float32]) -> None:
        """In place, float32 [vocabulary]."""
        ids = np.fromiter(self._counts, np.intp, len(self._counts))
        counts = np.fromiter(self._counts.values(), np.float32, len(self._counts))
        found = logits[ids]
        found = np.where(found <= 0, found * self._repetition, found / self._repetition)
        logits[ids] = found - (counts * self._frequency + self._presence)

    def accept(self, token: int) -> None:
        if len(self._last) == WINDOW:
            oldest = self._last[0]
            self._counts[oldest] -= 1
            if not self._counts[oldest]:
                del self._counts[oldest]
        self._last.append(token)
        self._counts[token] += 1
