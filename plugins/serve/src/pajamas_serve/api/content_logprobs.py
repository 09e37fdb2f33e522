"""Log-probabilities of the answer's own tokens: those of reasoning, of tags and of tool calls are left out."""

from __future__ import annotations

from attrs import evolve

from pajamas.types import Chunk, TokenLogprob


class ContentLogprobs:
    """Moves each token's entry to the chunk that has its text.

    A token whose text is held back comes in a chunk without any; whether it belongs to the answer shows later.
    """

    def __init__(self) -> None:
        self._held: list[TokenLogprob] = []
        self._begun = False

    def feed(self, chunk: Chunk) -> Chunk:
        self._held += chunk.logprobs
        if chunk.reasoning or chunk.tool_calls:
            self._held.clear()
            return evolve(chunk, logprobs=())
        if not chunk.text and not (self._begun and chunk.finish_reason):
            return evolve(chunk, logprobs=())
        if not self._begun:
            self._drop_tags(len(chunk.text.encode()))
        self._begun = True
        entries, self._held = tuple(self._held), []
        return evolve(chunk, logprobs=entries)

    def _drop_tags(self, size: int) -> None:
        """Before the answer's first text there may be tokens that the parser has taken away."""
        while self._held and sum(len(entry.bytes) for entry in self._held[1:]) >= size:
            del self._held[0]
