"""Repetition, presence and frequency penalties: the same as the GGUF backend's, over the same window."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pajamas.types import Sampling

WINDOW = 64
"""Tokens that count, the last of prompt and answer: llama.cpp's default. mlx-lm's own penalties count the last 20."""


class Penalties:
    """Changes the logits of the tokens in the window; the rest of the vocabulary is not touched."""

    def __init__(self, sampling: Sampling, prompt: list[int]) -> None:
        self._repetition = np.float32(1.0 if sampling.repetition_penalty is None else sampling.repetition_penalty)
        self._presence = np.float32(sampling.presence_penalty or 0.0)
        self._frequency = np.float32(sampling.frequency_penalty or 0.0)
        self._last = deque(prompt[-WINDOW:], maxlen=WINDOW)

    @property
    def active(self) -> bool:
        return bool(self._repetition != 1 or self._presence or self._frequency)

    def apply(self, logits: NDArray[np.float32]) -> None:
        """In place, float32 [vocabulary]."""
        counted = Counter(self._last)
        ids = np.fromiter(counted, np.intp, len(counted))
        counts = np.fromiter(counted.values(), np.float32, len(counted))
        found = logits[ids]
        found = np.where(found <= 0, found * self._repetition, found / self._repetition)
        logits[ids] = found - (counts * self._frequency + self._presence)

    def accept(self, token: int) -> None:
        self._last.append(token)
