"""What a server is told when it starts. Times are seconds, sizes bytes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

from pajamas.types import LoadOptions

SHARED_SLOTS = 8
"""Sequences that backends share one context among where `max_sequences` is not given."""


@frozen(kw_only=True)
class ModelSpec:
    """A model that the server offers."""

    name: str
    """What requests call it."""
    reference: str | Path
    """As after `--model`: a path, a Hub id, an alias."""
    pinned: bool = False
    """Kept loaded, with `PoolSettings.min_workers`; the others are loaded on demand and go when they are idle."""


@frozen(kw_only=True)
class PoolSettings:
    """How workers are started, kept and ended; the same for every model."""

    backend: str | None = None
    """As after `--backend`."""
    python: Path | None = None
    """The interpreter of the workers' environment; None is the server's own."""
    options: LoadOptions = LoadOptions()
    """How each session is set up, but for `max_sequences`."""
    slots: int | None = None
    """Requests that one worker answers side by side, if its backend can, each with a context of its own. None is
    `SHARED_SLOTS`, who share one."""
    min_workers: int = 1
    """Of each pinned model, started with the server."""
    max_workers: int = 1
    """Of each model."""
    idle_timeout: float = 300.0
    """A worker that is not needed and was idle for so long is ended."""
    scale_delay: float = 0.5
    """How long requests must have waited before another worker is started beside one that is ready."""
    max_queue: int = 256
    """Requests of one model that may wait for a slot."""
    queue_timeout: float = 120.0
    """How long one may wait, a model's loading not counted."""
    heartbeat: float = 2.0
    """A worker that is silent for so long is pinged."""
    patience: float = 20.0
    """One that is silent for so long is taken for hung, and killed."""
    stall_timeout: float = 600.0
    """So is one that computes and gives no token for so long, though it answers pings."""
    breaker_failures: int = 5
    """So many failures within `breaker_window` open a model's circuit breaker."""
    breaker_window: float = 60.0
    breaker_pause: float = 10.0
    """How long it stays open before one request is let through to probe; doubled each time that the probe fails."""
    memory_limit: int | None = None
    """For all workers together; None is what is free when the server starts."""

    @property
    def slots_each(self) -> int:
        """Of a worker that answers side by side."""
        return self.slots or SHARED_SLOTS


@frozen(kw_only=True)
class ServerSettings:
    """All of a server."""

    models: tuple[ModelSpec, ...]
    """The first answers requests that name none."""
    aliases: Mapping[str, str] = field(factory=dict)
    """Further names, each with the model's own."""
    pool: PoolSettings = PoolSettings()
    host: str = "127.0.0.1"
    port: int = 8080
    """0 takes one that is free."""
    api_keys: frozenset[str] = frozenset()
    """Any of them opens the API; with none it is open."""
    insecure: bool = False
    """Whether an address that others reach may be opened without a key."""
    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may call the API; ("*",) is all."""
    max_body: int = 16 * 2**20
    max_prompt_tokens: int | None = None
    """None: what the context holds."""
    max_tokens: int | None = None
    """The longest answer, also of requests that ask for more or name none; None: what the context holds."""
    max_choices: int = 128
    """Answers of one request: prompts times `n`."""
    request_timeout: float = 3600.0
    """From the last byte of a request to the last of its answer."""
    drain_timeout: float = 30.0
    """How long answers under way may take when the server is told to stop."""
    ping_interval: float = 15.0
    """A comment is sent where a stream is silent for so long."""
    log_prompts: bool = False
    """Put prompts and answers into the log."""
