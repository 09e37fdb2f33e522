"""`choices[].logprobs` of the older completions API: four lists, one entry a token."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pajamas.types import TokenLogprob
from pajamas_serve.api.objects import finite
from pajamas_serve.api.prompt_scores import TokenScore

_Row = tuple[str, float | None, dict[str, float] | None]
"""A token's text, its logprob, and the likeliest texts with theirs."""


class CompletionLogprobs:
    """Collects tokens and knows where in the text they begin.

    Args:
        count: of alternatives; with 0 `top_logprobs` is null.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._offset = 0

    def prompt(self, scores: Iterable[TokenScore], pieces: Mapping[int, str], text: str) -> dict[str, Any]:
        """Of an echoed prompt; what follows it begins behind `text`."""
        rows: list[_Row] = []
        for score in scores:
            top: dict[str, float] = {}
            for token, value in score.top:
                top.setdefault(pieces[token], finite(value))
            rows.append((pieces[score.token], score.logprob, top if score.logprob is not None else None))
        made = self._object(rows, limit=len(text))
        self._offset = len(text)
        return made

    def answer(self, entries: Iterable[TokenLogprob]) -> dict[str, Any]:
        """Of generated tokens."""
        rows: list[_Row] = []
        for entry in entries:
            top: dict[str, float] = {}
            for other in entry.top:
                top.setdefault(other.token, finite(other.logprob))
            rows.append((entry.token, entry.logprob, top))
        return self._object(rows)

    def _object(self, rows: Iterable[_Row], limit: int | None = None) -> dict[str, Any]:
        made: dict[str, Any] = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
        for piece, logprob, top in rows:
            value = None if logprob is None else finite(logprob)
            if top is not None and value is not None:
                top[piece] = value  # the very same number, and there even if it is not among the likeliest
            made["tokens"].append(piece)
            made["token_logprobs"].append(value)
            made["top_logprobs"].append(top)
            made["text_offset"].append(self._offset if limit is None else min(self._offset, limit))
            self._offset += len(piece)
        if not self._count:
            made["top_logprobs"] = None
        return made
