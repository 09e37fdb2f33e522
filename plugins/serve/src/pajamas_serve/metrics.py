"""Figures for Prometheus: counted as requests pass, and read off the pools when they are asked for."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from pajamas.types import Chunk
from pajamas_serve.pool.breaker import State
from pajamas_serve.pool.member import Phase

if TYPE_CHECKING:
    from pajamas_serve.pool.models import Models

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_BETWEEN = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
_MODEL = ("model",)


class Metrics:
    """One server's, in a registry of its own. Names: prometheus.io/docs/practices/naming."""

    def __init__(self, models: Models) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "pajamas_requests", "Requests that have ended.", ("path", "model", "status"), registry=registry
        )
        self._request_seconds = Histogram(
            "pajamas_request_duration_seconds", "From a request to the end of its answer.", ("path", "model"),
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._prompt = Counter("pajamas_prompt_tokens", "Prompt tokens, cached ones too.", _MODEL, registry=registry)
        self._cached = Counter("pajamas_cached_prompt_tokens", "Prompt tokens not computed.", _MODEL, registry=registry)
        self._generated = Counter("pajamas_generation_tokens", "Tokens generated.", _MODEL, registry=registry)
        self._first = Histogram(
            "pajamas_time_to_first_token_seconds", "From a request to its first token, with its wait for a slot.",
            _MODEL, buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._between = Histogram(
            "pajamas_inter_token_latency_seconds", "Between two tokens of an answer.", _MODEL, buckets=_BETWEEN,
            registry=registry,
        )  # fmt: skip
        self._queued = Histogram(
            "pajamas_queue_wait_seconds", "For a slot.", _MODEL, buckets=_SECONDS, registry=registry
        )
        self._finished = Counter(
            "pajamas_answers", "Answers that came to their end.", ("model", "finish_reason"), registry=registry
        )
        registry.register(_State(models))

    def text(self) -> bytes:
        """What /metrics says."""
        return generate_latest(self._registry)

    def request(self, path: str, model: str, status: int, seconds: float) -> None:
        self._requests.labels(path, model, str(status)).inc()
        self._request_seconds.labels(path, model).observe(seconds)

    def answer(self, model: str) -> AnswerWatch:
        return AnswerWatch(self, model)


class AnswerWatch:
    """One answer, timed from its making."""

    def __init__(self, metrics: Metrics, model: str) -> None:
        self._metrics = metrics
        self._model = model
        self._began = self._last = time.perf_counter()
        self._seen = False
        self._between = metrics._between.labels(model)

    def waited(self) -> None:
        self._metrics._queued.labels(self._model).observe(time.perf_counter() - self._began)

    def got(self, chunks: Sequence[Chunk]) -> None:
        """Chunks that came together count as spread evenly over the time since the last."""
        now = time.perf_counter()
        tokens = sum(len(chunk.token_ids) for chunk in chunks)
        if tokens and not self._seen:
            self._seen = True
            self._metrics._first.labels(self._model).observe(now - self._began)
            tokens -= 1
        elif tokens:
            self._between.observe((now - self._last) / tokens)
        self._last = now

    def ended(self, last: Chunk) -> None:
        """Count the answer if `last` is its last chunk."""
        metrics, usage = self._metrics, last.usage
        if usage is not None:
            metrics._prompt.labels(self._model).inc(usage.prompt_tokens)
            metrics._cached.labels(self._model).inc(usage.cached_tokens)
            metrics._generated.labels(self._model).inc(usage.completion_tokens)
        if last.finish_reason is not None:
            metrics._finished.labels(self._model, last.finish_reason).inc()


class _State:
    """The pools as they are now."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def collect(self) -> Iterator[Metric]:
        queue = GaugeMetricFamily("pajamas_queue_length", "Requests without a slot.", labels=_MODEL)
        slots = GaugeMetricFamily("pajamas_slots", "Places for requests in ready workers.", labels=("model", "state"))
        workers = GaugeMetricFamily("pajamas_workers", "Worker processes.", labels=("model", "state"))
        breaker = GaugeMetricFamily("pajamas_breaker_state", "1 for the state it is in.", labels=("model", "state"))
        crashes = GaugeMetricFamily("pajamas_worker_crashes", "Workers that died or hung.", labels=_MODEL)
        starts = GaugeMetricFamily("pajamas_worker_starts", "Workers that became ready.", labels=_MODEL)
        for pool in self._models.all_pools:
            name = f"{pool.spec.name} (embeddings)" if pool.embeddings else pool.spec.name
            members = list(pool.members.values())
            busy = sum(member.busy for member in members)
            queue.add_metric((name,), len(pool.queue))
            slots.add_metric((name, "busy"), busy)
            slots.add_metric((name, "free"), sum(member.free for member in members))
            for phase in Phase:
                workers.add_metric((name, phase), sum(member.phase is phase for member in members))
            now = pool.breaker.state(time.monotonic())
            for state in State:
                breaker.add_metric((name, state), float(now is state))
            crashes.add_metric((name,), pool.crashes)
            starts.add_metric((name,), pool.starts)
        memory = GaugeMetricFamily("pajamas_memory_reserved_bytes", "Reserved for workers.", labels=("stage",))
        for stage, size in self._models.memory.stages.items():
            memory.add_metric((stage,), size)
        limit = GaugeMetricFamily("pajamas_memory_limit_bytes", "For all workers together.")
        limit.add_metric((), self._models.memory.ledger.limit)
        yield from (queue, slots, workers, breaker, crashes, starts, memory, limit)
