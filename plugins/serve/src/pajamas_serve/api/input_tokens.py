"""POST /v1/responses/input_tokens and /v1/chat/completions/input_tokens: how long a prompt would be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pajamas_serve.api.body import received
from pajamas_serve.api.chat import jobs_of
from pajamas_serve.api.endpoint import Json
from pajamas_serve.api.requests import ChatRequest
from pajamas_serve.api.response_request import ResponsesRequest
from pajamas_serve.api.responses import job_of

if TYPE_CHECKING:
    from pajamas_serve.api.endpoint import Call, Reply
    from pajamas_serve.api.running import Job
    from pajamas_serve.pool.pool import ModelPool
    from pajamas_serve.service import Service


async def of_chat(service: Service, call: Call) -> Reply:
    """Takes what the chat takes."""
    request = await received(ChatRequest, call.body)
    pool = service.pool(call, request.model)
    job, *_ = await jobs_of(request, await pool.learn(), len(call.body))
    return await _count(pool, job)


async def of_response(service: Service, call: Call) -> Reply:
    """Takes what /v1/responses takes."""
    request = await received(ResponsesRequest, call.body)
    pool = service.pool(call, request.model)
    _, job = await job_of(request, await pool.learn(), len(call.body))
    return await _count(pool, job)


async def _count(pool: ModelPool, job: Job) -> Reply:
    async with pool.any_worker() as worker:
        tokens = await worker.tokenize(job.request.prompt or "")
    return Json(body={"object": "response.input_tokens", "input_tokens": len(tokens)})
