"""GET /health, /live, /ready, /metrics and /status."""

from __future__ import annotations

import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from pajamas_serve.api.endpoint import Json, Raw
from pajamas_serve.api.errors import ApiError
from pajamas_serve.metrics import CONTENT_TYPE

if TYPE_CHECKING:
    from pajamas_serve.api.endpoint import Call, Reply
    from pajamas_serve.pool.pool import ModelPool
    from pajamas_serve.service import Service


async def live(service: Service, call: Call) -> Reply:
    """The server runs."""
    return Json(body={"status": "ok"})


async def health(service: Service, call: Call) -> Reply:
    """The server has started: every pinned model has had all its workers."""
    return Json(body={"status": "ok"}) if service.check_begun() else _unavailable("The models are loading.")


async def ready(service: Service, call: Call) -> Reply:
    """Requests would be answered now: every pinned model has a worker, and the server is not stopping."""
    if service.draining:
        return _unavailable("The server is stopping.")
    if not service.check_begun():
        return _unavailable("The models are loading.")
    return Json(body={"status": "ok"}) if service.ready else _unavailable("A pinned model has no worker.")


async def metrics(service: Service, call: Call) -> Reply:
    return Raw(body=service.metrics.text(), type=CONTENT_TYPE)


async def status(service: Service, call: Call) -> Reply:
    """How it stands with every model: what `pajamas ps` and the page show."""
    return Json(
        body={
            "version": version("pajamas"),
            "started": service.created,
            "draining": service.draining,
            "models": [_pool(service, pool) for pool in service.models.all_pools],
            "memory": {
                "limit": service.models.memory.ledger.limit,
                **{str(stage): size for stage, size in service.models.memory.stages.items()},
            },
        }
    )


def _pool(service: Service, pool: ModelPool) -> dict[str, Any]:
    now = time.monotonic()
    return {
        "name": pool.spec.name,
        "purpose": "embeddings" if pool.embeddings else "generation",
        "pinned": pool.spec.pinned,
        "queue": len(pool.queue),
        "breaker": str(pool.breaker.state(now)),
        "crashes": pool.crashes,
        "memory": sum(service.models.memory.ledger.size_of(member) for member in pool.members.values()),
        "context": pool.facts.context_length if pool.facts else None,
        "workers": [
            {
                "id": member.id,
                "pid": member.worker.pid if member.worker else None,
                "state": str(member.phase),
                "slots": member.slots,
                "busy": member.busy,
                "answered": member.answered,
                "seconds": round(now - member.since, 1),
            }
            for member in pool.members.values()
        ],
    }


def _unavailable(message: str) -> Json:
    error = ApiError(status=503, type="unavailable_error", message=message, code="unavailable", retry_after=1.0)
    return Json(body=error.body(), status=error.status, headers=tuple(error.headers()))
