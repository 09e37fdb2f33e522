"""What an answer is made of, piece by piece."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

FinishReason = Literal["stop", "length", "tool_calls", "cancelled"]


@frozen(kw_only=True)
class TokenLogprob:
    token_id: int
    token: str
    bytes: bytes
    logprob: float
    """Natural logarithm of the probability in the model's own distribution, before any sampling option."""
    top: tuple[TokenLogprob, ...] = ()


@frozen(kw_only=True)
class ToolCall:
    id: str
    name: str
    arguments: str
    """JSON text, as OpenAI's API carries it."""


@frozen(kw_only=True)
class Usage:
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    """Prompt tokens that were not computed again."""
    prompt_seconds: float = 0.0
    generation_seconds: float = 0.0
    """From the first token to the last."""
    time_to_first_token: float = 0.0

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
    token_ids: tuple[int, ...] = ()
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
