"""What all requests share: settings, models, metrics and the log."""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pajamas_serve.metrics import Metrics
from pajamas_serve.pool.models import Models

if TYPE_CHECKING:
    from pajamas_serve.api.endpoint import Call
    from pajamas_serve.api.requests import Sampled
    from pajamas_serve.api.running import Answer
    from pajamas_serve.pool.pool import ModelPool
    from pajamas_serve.settings import ServerSettings

log = logging.getLogger("pajamas_serve.requests")

_POLLED = frozenset({"/live", "/health", "/v1/health", "/ready", "/metrics", "/status"})
"""Asked every few seconds by programs; their answers are not logged unless they fail. "Not yet" is an answer."""
_SHOWN = 256
"""Characters of what a client chose that go into the log: a path, a user's name."""


class Service:
    """One server's state."""

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.models = Models(settings)
        self.metrics = Metrics(self.models)
        self.created = int(time.time())
        self.began = False
        """Whether every pinned model has been ready once."""
        self.draining = False
        self.token = secrets.token_urlsafe(24)
        """A key for `pajamas ps`, whatever keys others need."""

    @property
    def ready(self) -> bool:
        return self.models.alive and not self.draining

    def check_begun(self) -> bool:
        self.began = self.began or self.models.ready
        return self.began

    def pool(self, call: Call, wanted: str | None, *, embeddings: bool = False) -> ModelPool:
        """The pool that a request means.

        Raises:
            UnknownModel: the server does not offer it.
        """
        call.model = self.models.name(wanted)
        return self.models.pool(wanted, embeddings=embeddings)

    def fingerprint(self, pool: ModelPool) -> str:
        """Changes with whatever may change answers: model, backend and how it is loaded."""
        assert pool.facts is not None
        parts = (pool.spec.reference, pool.facts.backend, pool.settings.options, pool.facts.architecture)
        return "b" + hashlib.sha256(repr(parts).encode()).hexdigest()[:10]

    def log_request(self, call: Call, request: Sampled, prompt: Any) -> None:
        for name in ("user", "safety_identifier", "prompt_cache_key"):
            if (value := getattr(request, name)) is not None:
                call.facts[name] = value[:_SHOWN]
        call.facts["stream"] = bool(request.stream)
        if self.settings.log_prompts:
            call.facts["prompt"] = prompt

    def log_answers(self, call: Call, answers: Sequence[Answer]) -> None:
        usages = [answer.usage for answer in answers if answer.usage]
        call.facts["prompt_tokens"] = sum(usage.prompt_tokens for usage in usages)
        call.facts["completion_tokens"] = sum(usage.completion_tokens for usage in usages)
        call.facts["finish_reason"] = [answer.finish_reason for answer in answers]
        if self.settings.log_prompts:
            call.facts["answers"] = [answer.text for answer in answers]

    def finished(self, call: Call, status: int) -> None:
        """A request has ended, in whatever way."""
        seconds = time.perf_counter() - call.began
        path = call.path[:_SHOWN]
        level = logging.WARNING if status >= 500 else logging.INFO
        if call.route in _POLLED and status in (200, 503):
            level = logging.DEBUG
        self.metrics.request(call.route, call.model, status, seconds)
        log.log(
            level,
            "%s %s in %.3f s",
            path,
            status,
            seconds,
            extra={
                "request_id": call.id, "path": path, "status": status, "seconds": round(seconds, 6),
                "model": call.model or None, **call.facts,
            },
        )  # fmt: skip
