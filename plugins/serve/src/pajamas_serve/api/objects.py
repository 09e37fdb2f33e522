"""The objects of OpenAI's API that answers are put into."""

from __future__ import annotations

import json
import math
import secrets
import time
from collections.abc import Iterable
from typing import Any

from pajamas.types import TokenLogprob, ToolCall, Usage

_LEAST = -9999.0
"""What OpenAI writes for a probability of zero; JSON has no infinity."""


def new_id(prefix: str) -> str:
    return prefix + secrets.token_hex(12)


def now() -> int:
    return int(time.time())


def usage_object(usages: Iterable[Usage], reasoning_tokens: int = 0, *, prompts: int | None = None) -> dict[str, Any]:
    """The sum over several answers.

    Args:
        prompts: tokens of all prompts; None takes each answer's. Choices of one prompt share it, and it counts once.
    """
    known = list(usages)
    prompt = sum(usage.prompt_tokens for usage in known) if prompts is None else prompts
    completion = sum(usage.completion_tokens for usage in known)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": min(prompt, sum(usage.cached_tokens for usage in known))},
        "completion_tokens_details": {"reasoning_tokens": reasoning_tokens},
    }


def timings(usage: Usage) -> dict[str, float]:
    """What one answer took, under the names of llama.cpp's server; the first token belongs to the prompt."""
    computed, steps = usage.prompt_tokens - usage.cached_tokens, max(usage.completion_tokens - 1, 0)
    prompt, predicted = 1e3 * usage.prompt_seconds, 1e3 * usage.generation_seconds
    return {
        "cache_n": usage.cached_tokens,
        "prompt_n": computed,
        "prompt_ms": prompt,
        "prompt_per_token_ms": prompt / computed if computed else 0.0,
        "prompt_per_second": usage.prompt_tokens_per_second,
        "predicted_n": usage.completion_tokens,
        "predicted_ms": predicted,
        "predicted_per_token_ms": predicted / steps if steps else 0.0,
        "predicted_per_second": usage.generation_tokens_per_second,
    }


def finite(logprob: float) -> float:
    return logprob if math.isfinite(logprob) else _LEAST


def chat_logprobs(entries: Iterable[TokenLogprob]) -> dict[str, Any]:
    """`choices[].logprobs` of the chat API."""
    content = [{**_token(entry), "top_logprobs": [_token(other) for other in entry.top]} for entry in entries]
    return {"content": content, "refusal": None}


def _token(entry: TokenLogprob) -> dict[str, Any]:
    return {"token": entry.token, "logprob": finite(entry.logprob), "bytes": list(entry.bytes)}


def tool_call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def frame(data: Any) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(data, separators=(",", ":")).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
