"""Figures for Prometheus: counted as requests pass, and read off the pools when they are asked for."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from pajamas.types import Chunk
from pajamas_serve.pool.breaker import State
from pajamas_serve.pool.member import Phase

if TYPE_CHECKING:
    from pajamas_serve.pool.models import Models

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_BETWEEN = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
_MODEL = ("model",)
_POOL = ("model", "purpose")


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
        self._prompt = Counter(
            "pajamas_prompt_tokens", "Of answers that came to their end; cached ones too.", _MODEL, registry=registry
        )
        self._cached = Counter("pajamas_cached_prompt_tokens", "Prompt tokens not computed.", _MODEL, registry=registry)
        self._generated = Counter(
            "pajamas_generation_tokens",
            "Tokens generated, also in answers that were broken off.",
            _MODEL,
            registry=registry,
        )
        self._first = Histogram(
            "pajamas_time_to_first_token_seconds",
            "From a request to an answer's first token, with its wait for a slot and for a model's loading.",
            _MODEL, buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._between = Histogram(
            "pajamas_inter_token_latency_seconds",
            "Between two tokens of an answer; those that came together are spread evenly.",
            _MODEL, buckets=_BETWEEN, registry=registry,
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

    def answer(self, model: str, began: float) -> AnswerWatch:
        return AnswerWatch(self, model, began)


class AnswerWatch:
    """One answer, whose wait for a slot begins now.

    Args:
        began: its request, by `time.perf_counter`.
    """

    def __init__(self, metrics: Metrics, model: str, began: float) -> None:
        self._metrics = metrics
        self._model = model
        self._began = began
        self._queued = self._last = time.perf_counter()
        self._tokens = 0
        self._generated = metrics._generated.labels(model)
        self._between = metrics._between.labels(model)

    def waited(self) -> None:
        self._metrics._queued.labels(self._model).observe(time.perf_counter() - self._queued)

    def got(self, chunks: Sequence[Chunk]) -> None:
        """Chunks that came together count as spread evenly over the time since the last."""
        now = time.perf_counter()
        tokens = sum(len(chunk.token_ids) for chunk in chunks)
        if not tokens:
            return
        self._generated.inc(tokens)
        if not self._tokens:
            self._metrics._first.labels(self._model).observe(now - self._began)
        else:
            for _ in range(tokens):
                self._between.observe((now - self._last) / tokens)
        self._tokens += tokens
        self._last = now

    def ended(self, last: Chunk) -> None:
        """Count the answer if `last` is its last chunk."""
        metrics, usage = self._metrics, last.usage
        if usage is not None:
            metrics._prompt.labels(self._model).inc(usage.prompt_tokens)
            metrics._cached.labels(self._model).inc(usage.cached_tokens)
            self._generated.inc(max(0, usage.completion_tokens - self._tokens))  # the last one may be no text
            self._tokens = max(self._tokens, usage.completion_tokens)
        if last.finish_reason is not None:
            metrics._finished.labels(self._model, last.finish_reason).inc()


class _State:
    """The pools as they are now."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def collect(self) -> Iterator[Metric]:
        queue = GaugeMetricFamily("pajamas_queue_length", "Requests without a slot.", labels=_POOL)
        slots = GaugeMetricFamily("pajamas_slots", "Places for requests in ready workers.", labels=(*_POOL, "state"))
        workers = GaugeMetricFamily("pajamas_workers", "Worker processes.", labels=(*_POOL, "state"))
        breaker = GaugeMetricFamily("pajamas_breaker_state", "1 for the state it is in.", labels=(*_POOL, "state"))
        crashes = CounterMetricFamily("pajamas_worker_crashes", "Workers that died or hung.", labels=_POOL)
        starts = CounterMetricFamily("pajamas_worker_starts", "Workers that became ready.", labels=_POOL)
        for pool in self._models.all_pools:
            name = (pool.spec.name, "embeddings" if pool.embeddings else "generation")
            members = list(pool.members.values())
            busy = sum(member.busy for member in members)
            queue.add_metric(name, len(pool.queue))
            slots.add_metric((*name, "busy"), busy)
            slots.add_metric((*name, "free"), sum(member.free for member in members))
            for phase in Phase:
                workers.add_metric((*name, phase), sum(member.phase is phase for member in members))
            now = pool.breaker.state(time.monotonic())
            for state in State:
                breaker.add_metric((*name, state), float(now is state))
            crashes.add_metric(name, pool.crashes)
            starts.add_metric(name, pool.starts)
        memory = GaugeMetricFamily("pajamas_memory_reserved_bytes", "Reserved for workers.", labels=("stage",))
        for stage, size in self._models.memory.stages.items():
            memory.add_metric((stage,), size)
        limit = GaugeMetricFamily("pajamas_memory_limit_bytes", "For all workers together.")
        limit.add_metric((), self._models.memory.ledger.limit)
        yield from (queue, slots, workers, breaker, crashes, starts, memory, limit)
