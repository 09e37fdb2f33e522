"""The text of single tokens, asked of a worker once for each."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pajamas.worker.asynchronous import AsyncWorker


class Pieces:
    """Of one model. It never holds more than the vocabulary."""

    def __init__(self) -> None:
        self._known: dict[int, str] = {}

    async def of(self, worker: AsyncWorker, tokens: Iterable[int]) -> dict[int, str]:
        """Token id to its text; a part of a character is U+FFFD.

        Raises:
            UsageError: there is no such token.
        """
        wanted = set(tokens)
        missing = [token for token in wanted if token not in self._known]
        for start in range(0, len(missing), 64):
            some = missing[start : start + 64]
            texts = await asyncio.gather(*(worker.detokenize([token]) for token in some))
            self._known.update(zip(some, texts, strict=True))
        return {token: self._known[token] for token in wanted}
