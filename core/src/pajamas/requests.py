"""What a session is asked: a prompt, how to sample, when to stop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from attrs import field, frozen

Message = Mapping[str, Any]
"""A chat message in OpenAI's form: role, content, and where they apply tool_calls, tool_call_id, reasoning_content."""

Mode = Literal["thinking", "non-thinking"]


@frozen(kw_only=True)
class Sampling:
    """Sampling options; None means "not set": core fills it from the request's mode and the model's own defaults."""

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    typical_p: float | None = None
    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: Mapping[int, float] = field(factory=dict)
    """Token id to a number added to its logit; -inf forbids the token."""
    seed: int | None = None


@frozen(kw_only=True)
class GenerateRequest:
    """One answer to one prompt. Exactly one of `prompt`, `messages` and `token_ids` is given by the caller.

    A backend sees `prompt` (rendered: special tokens in it are meant as tokens) or `token_ids`; core has turned
    `messages`, `tools` and `mode` into the prompt before.
    """

    prompt: str | None = None
    messages: tuple[Message, ...] | None = None
    token_ids: tuple[int, ...] | None = None
    tools: tuple[Mapping[str, Any], ...] = ()
    mode: Mode | None = None
    raw: bool = False
    """Send `prompt` as it is, though the model has a chat template."""
    template_variables: Mapping[str, Any] = field(factory=dict)
    sampling: Sampling = Sampling()
    max_tokens: int | None = None
    """None: until the model ends, or the context is full."""
    stop: tuple[str, ...] = ()
    ignore_eos: bool = False
    logprobs: int | None = None
    """How many alternatives to report for each token; 0 reports the chosen one only."""
    json_schema: Mapping[str, Any] | None = None
    grammar: str | None = None
    """GBNF."""
    cache_prompt: bool = True
    """Reuse what the session has computed for an equal beginning."""
