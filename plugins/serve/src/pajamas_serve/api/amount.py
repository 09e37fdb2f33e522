"""How much one request may ask for, and large answers put into JSON while others are answered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from pajamas_serve.errors import BadParameter, PromptTooLong

if TYPE_CHECKING:
    from pajamas_serve.api.running import Job
    from pajamas_serve.settings import ServerSettings

T = TypeVar("T")

_MOST = 2**18
"""Log-probabilities of one request's answers: some 20 MiB of JSON. One answer alone is bounded by its context."""
_LARGE = 2**10
"""Tokens with log-probabilities from which on an answer is made in a thread, not between other requests' tokens."""
_DEPTH = 5
"""Of an answer's JSON: the level of the single tokens."""


def check_amount(settings: ServerSettings, jobs: Sequence[Job], context: int) -> None:
    """Raises BadParameter for several answers with more log-probabilities than this server gives at once.

    Args:
        context: tokens of prompt and answer together.
    """
    longest = min(settings.max_tokens or context, context)
    asked = sum(
        min(job.request.max_tokens or longest, longest) * (job.request.logprobs + 1)
        for job in jobs
        if job.request.logprobs is not None
    )
    if len(jobs) > 1 and asked > _MOST:
        raise BadParameter(
            "logprobs", f"{len(jobs)} answers could have {asked:,} log-probabilities.",
            f"This server gives {_MOST:,} at once.", "Ask for fewer answers, tokens or alternatives.",
        )  # fmt: skip


def check_prompt(settings: ServerSettings, parameter: str, tokens: int) -> None:
    """Raises PromptTooLong for more tokens than the server's own limit."""
    most = settings.max_prompt_tokens
    if most is not None and tokens > most:
        raise PromptTooLong(
            parameter, f"The prompt has {tokens:,} tokens.", f"This server takes {most:,}.", "Shorten it.",
            tokens=tokens, context=most,
        )  # fmt: skip


async def made(make: Callable[[], T], size: int) -> T:
    """What `make` makes of `size` tokens with log-probabilities."""
    return await asyncio.to_thread(make) if size > _LARGE else make()


def encoded(body: Any) -> bytes:
    """Compact JSON, made in pieces: one call of `json.dumps` would keep all other threads waiting to its end."""
    return "".join(_pieces(body, _DEPTH)).encode()


def _pieces(value: Any, depth: int) -> Iterator[str]:
    if not depth or not value or not isinstance(value, dict | list):
        yield json.dumps(value, separators=(",", ":"))
        return
    if isinstance(value, dict):
        for number, (name, item) in enumerate(value.items()):
            yield f"{',' if number else '{'}{json.dumps(name)}:"
            yield from _pieces(item, depth - 1)
        yield "}"
    else:
        for number, item in enumerate(value):
            yield "," if number else "["
            yield from _pieces(item, depth - 1)
        yield "]"
