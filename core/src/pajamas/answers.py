"""What an answer is made of, piece by piece."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

FinishReason = Literal["stop", "length", "tool_calls", "cancelled"]


@frozen(kw_only=True)
class TokenLogprob:
    """One token of an answer and how likely it was."""

    token_id: int
    """Its number in the vocabulary."""
    token: str
    """Its text; a part of a character is shown as U+FFFD."""
    bytes: bytes
    """Its bytes, exact."""
    logprob: float
    """Natural logarithm of the probability in the model's own distribution, before any sampling option."""
    top: tuple[TokenLogprob, ...] = ()
    """The most likely tokens at this place, best first, as many as were asked for."""


@frozen(kw_only=True)
class ToolCall:
    """A call that the model asks for."""

    id: str
    """Names the call in the answer to it (`tool_call_id`)."""
    name: str
    """The tool's name."""
    arguments: str
    """JSON text, as OpenAI's API carries it."""


@frozen(kw_only=True)
class Usage:
    """What an answer cost: tokens and seconds."""

    prompt_tokens: int
    """All of the prompt, those from a cache too."""
    completion_tokens: int
    """Tokens that were generated."""
    cached_tokens: int = 0
    """Prompt tokens that were not computed again."""
    prompt_seconds: float = 0.0
    """To compute the prompt."""
    generation_seconds: float = 0.0
    """From the first token to the last."""
    time_to_first_token: float = 0.0
    """From the request to the first token."""

    @property
    def prompt_tokens_per_second(self) -> float:
        return (self.prompt_tokens - self.cached_tokens) / self.prompt_seconds if self.prompt_seconds else 0.0

    @property
    def generation_tokens_per_second(self) -> float:
        return (self.completion_tokens - 1) / self.generation_seconds if self.generation_seconds else 0.0


@frozen(kw_only=True)
class Chunk:
    """A piece of an answer. Backends fill `text`; core's parser moves reasoning and tool calls out of it."""

    text: str = ""
    """Whole characters; the join of all chunks is the answer."""
    token_ids: tuple[int, ...] = ()
    """New with this piece, whose text may still be held back; all chunks together hold every token once."""
    reasoning: str = ""
    """What a thinking model thought. Filled by core's parser."""
    tool_calls: tuple[ToolCall, ...] = ()
    """Filled by core's parser."""
    cached_tokens: int = 0
    """On the first chunk only, for those who do not read to the last: as `Usage.cached_tokens`."""
    logprobs: tuple[TokenLogprob, ...] = ()
    """One a token of `token_ids`, where `GenerateRequest.logprobs` asks for them."""
    finish_reason: FinishReason | None = None
    """On the last chunk only."""
    usage: Usage | None = None
    """On the last chunk only."""
