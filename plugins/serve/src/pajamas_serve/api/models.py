"""GET /v1/models, and one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pajamas_serve.api.endpoint import Json

if TYPE_CHECKING:
    from pajamas_serve.api.endpoint import Call, Reply
    from pajamas_serve.service import Service


async def models(service: Service, call: Call) -> Reply:
    """What may be named as `model`; of a model that is not loaded no more is known than its name."""
    return Json(body={"object": "list", "data": [_model(service, name) for name in service.models.specs]})


async def model(service: Service, call: Call) -> Reply:
    name = service.models.name(call.path.partition("/models/")[2])
    return Json(body=_model(service, name))


def _model(service: Service, name: str) -> dict[str, Any]:
    pool = service.models.pools[name]
    facts = pool.facts
    meta = None
    if facts is not None:
        a = facts.architecture
        meta = {
            "n_ctx": facts.context_length, "n_ctx_train": a.context_length, "n_embd": a.hidden_size,
            "n_vocab": a.vocab_size, "n_params": a.parameters, "backend": facts.backend,
            "features": sorted(facts.features),
        }  # fmt: skip
    return {
        "id": name, "object": "model", "created": service.created, "owned_by": "pajamas",
        "aliases": [alias for alias, of in service.settings.aliases.items() if of == name],
        "loaded": pool.ready > 0, "pinned": pool.spec.pinned, "meta": meta,
    }  # fmt: skip
