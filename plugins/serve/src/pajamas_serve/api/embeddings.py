"""POST /v1/embeddings, where the model's backend declares them."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from pajamas.types import Usage
from pajamas_serve.api.amount import check_prompt
from pajamas_serve.api.body import received
from pajamas_serve.api.endpoint import Json
from pajamas_serve.api.objects import usage_object
from pajamas_serve.api.requests import EmbeddingRequest
from pajamas_serve.api.running import check_text
from pajamas_serve.errors import BadParameter, PromptTooLong

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pajamas.worker.asynchronous import AsyncWorker
    from pajamas_serve.api.endpoint import Call, Reply
    from pajamas_serve.service import Service


async def embeddings(service: Service, call: Call) -> Reply:
    """One vector of length 1 a text. A session embeds or generates, so the model is loaded for it apart."""
    request = await received(EmbeddingRequest, call.body)
    given: Any = request.input
    inputs = [given] if isinstance(given, str) or (given and isinstance(given[0], int)) else list(given)
    if not inputs or any(not one for one in inputs):
        raise BadParameter("input", "An input is empty.", "There is nothing to embed.")
    if len(inputs) > 2048:
        raise BadParameter("input", f"{len(inputs)} inputs are too many for one request.", "At most 2048 are taken.")
    if request.user is not None:
        call.facts["user"] = request.user
    pool = service.pool(call, request.model, embeddings=True)
    async with pool.slot() as slot:
        texts = [await _text(slot.worker, one) for one in inputs]
        counts = [len(await slot.worker.tokenize(text, parse_special=False)) for text in texts]
        context = slot.facts.context_length
        for number, count in enumerate(counts):
            check_prompt(service.settings, "input", count)
            if count > context:
                raise PromptTooLong(
                    "input", f"Text {number + 1} is too large: it has {count:,} tokens.",
                    f"The context holds {context:,}.", "Split it.", tokens=count, context=context,
                )  # fmt: skip
        vectors = await slot.worker.embed(texts)
    size = vectors.shape[1]
    if request.dimensions not in (None, size):
        raise BadParameter("dimensions", f"The model's vectors have {size} numbers.", code="unsupported_parameter")
    data = [
        {"object": "embedding", "index": number, "embedding": _vector(vector, request.encoding_format)}
        for number, vector in enumerate(vectors)
    ]
    usage = usage_object([Usage(prompt_tokens=sum(counts), completion_tokens=0)])
    usage = {name: usage[name] for name in ("prompt_tokens", "total_tokens")}
    return Json(body={"object": "list", "data": data, "model": call.model, "usage": usage})


async def _text(worker: AsyncWorker, given: Any) -> str:
    if isinstance(given, str):
        check_text(given, "input")
        return given
    return await worker.detokenize(given)


def _vector(vector: NDArray[np.float32], encoding: str | None) -> str | list[float]:
    """base64 of little-endian float32, as the SDK asks for it."""
    if encoding == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")
    return [float(value) for value in vector]
