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
    """0 takes the most likely token each time."""
    top_k: int | None = None
    """Only the k most likely tokens; 0 is all."""
    top_p: float | None = None
    """Only the most likely tokens whose probabilities sum to this."""
    min_p: float | None = None
    """Only tokens at least this likely, relative to the most likely one."""
    typical_p: float | None = None
    """Locally typical sampling: the tokens closest to the expected information, up to this sum."""
    repetition_penalty: float | None = None
    """Above 1 makes tokens that were there less likely; 1 is none."""
    presence_penalty: float | None = None
    """Subtracted once from the logits of tokens that were there; -2 to 2."""
    frequency_penalty: float | None = None
    """Subtracted for each time that a token was there; -2 to 2."""
    logit_bias: Mapping[int, float] = field(factory=dict)
    """Token id to a number added to its logit; -inf forbids the token."""
    seed: int | None = None
    """Of the random numbers; None draws one."""


@frozen(kw_only=True)
class GenerateRequest:
    """One answer to one prompt. Exactly one of `prompt`, `messages` and `token_ids` is given by the caller.

    A backend sees `prompt` (rendered: special tokens in it are meant as tokens) or `token_ids`; core has turned
    `messages`, `tools` and `mode` into the prompt before.
    """

    prompt: str | None = None
    """A text: as the caller wrote it, and for a backend as the template renders it."""
    messages: tuple[Message, ...] | None = None
    """A conversation; needs a chat template."""
    token_ids: tuple[int, ...] | None = None
    """The prompt as tokens, without any template."""
    tools: tuple[Mapping[str, Any], ...] = ()
    """Functions that the model may call, in OpenAI's form."""
    mode: Mode | None = None
    """None leaves it to the template."""
    raw: bool = False
    """Send `prompt` as it is, though the model has a chat template."""
    template_variables: Mapping[str, Any] = field(factory=dict)
    """Passed to the chat template as they are."""
    sampling: Sampling = Sampling()
    """How tokens are chosen."""
    max_tokens: int | None = None
    """None: until the model ends, or the context is full."""
    stop: tuple[str, ...] = ()
    """Texts that end the answer; they are not part of it. In the reasoning of a thinking model they end nothing: core
    looks for them then, and a backend is not given them."""
    ignore_eos: bool = False
    """Go on where the model would end, until `max_tokens`."""
    logprobs: int | None = None
    """How many alternatives to report for each token; 0 reports the chosen one only."""
    json_schema: Mapping[str, Any] | None = None
    """The answer is JSON that fits it."""
    grammar: str | None = None
    """GBNF."""
    cache_prompt: bool = True
    """Reuse what the session has computed for an equal beginning."""
    exact: bool = False
    """The answer is the one that this request has alone in a fresh session, to the last bit, whatever else runs. Where
    requests are computed together, near-ties may else fall either way. A seed asks for the same."""
