"""What the measuring process is asked, and what it answers: pickled between two processes of our own."""

from __future__ import annotations

from attrs import frozen

from pajamas.types import Architecture, Artifact, Feature, FinishReason, LoadOptions, MemoryUse
from pajamas_bench.cases import Case


@frozen(kw_only=True)
class Load:
    backend: str
    artifact: Artifact
    options: LoadOptions


@frozen(kw_only=True)
class Loaded:
    seconds: float
    """From the call of `load` to a session that can be asked; the engine's library is loaded in it."""
    architecture: Architecture
    context_length: int
    features: frozenset[Feature]
    memory: MemoryUse


@frozen(kw_only=True)
class Ask:
    case: Case
    warm_up: bool = False
    """A shorter request of the same kind."""


@frozen(kw_only=True)
class Answer:
    """One request as its caller sees it. Times are seconds from its start, by the monotonic clock."""

    first_token: float | None
    """None: no token came."""
    total: float
    """To the end of the stream."""
    gaps: tuple[float, ...]
    """Between one token and the next. Tokens that come together share the time that they took."""
    token_ids: tuple[int, ...]
    first_tokens: int
    """That came first, together."""
    text: str
    """With the reasoning."""
    prompt_tokens: int
    cached_tokens: int
    """Of the prompt, that were not computed."""
    prompt_seconds: float
    """That the engine took for the prompt, as it says itself; 0 if it does not."""
    generation_seconds: float
    """The engine's own too: what a stream of one piece has instead of gaps."""
    finish_reason: FinishReason | None = None
    """Why it ended: "length" at its full length, or where the context was full."""


@frozen(kw_only=True)
class Run:
    """A case, once."""

    answers: tuple[Answer, ...]
    seconds: float
    """From the start of the first request to the end of the last."""


@frozen
class PeakMemory:
    """Answered by bytes."""


@frozen
class Bandwidth:
    """Answered by bytes a second of one thread and of all: a pair."""
