"""POST /v1/responses: OpenAI's newer form of the chat, without its memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from attrs import evolve

from pajamas_serve.api.body import received
from pajamas_serve.api.chat import jobs_of, joined
from pajamas_serve.api.endpoint import Events, Json
from pajamas_serve.api.objects import new_id, now
from pajamas_serve.api.response_request import ResponsesRequest, chat_request, own_name
from pajamas_serve.api.response_writer import ResponseWriter
from pajamas_serve.api.running import Answer, Job, run
from pajamas_serve.errors import BadParameter

if TYPE_CHECKING:
    from pajamas.worker.protocol import Facts
    from pajamas_serve.api.endpoint import Call, Reply
    from pajamas_serve.api.requests import ChatRequest
    from pajamas_serve.pool.pool import ModelPool
    from pajamas_serve.service import Service


async def responses(service: Service, call: Call) -> Reply:
    request = await received(ResponsesRequest, call.body)
    pool = service.pool(call, request.model)
    chat, job = await job_of(request, await pool.learn(), len(call.body))
    service.log_request(call, chat, request.input)
    writer = ResponseWriter(_response(request, call.model))
    frames = _frames(service, call, pool, job, writer)
    if request.stream:
        return Events(frames=frames)
    async with aclosing(frames):
        async for _ in frames:
            pass
    return Json(body=writer.response)


async def job_of(request: ResponsesRequest, facts: Facts, size: int) -> tuple[ChatRequest, Job]:
    """The chat that the request comes to; what is wrong with it is said of the request's own parameters.

    Raises:
        BadParameter, UsageError, UnsupportedFeature: as for a chat.
    """
    chat = chat_request(request)
    try:
        (job,) = await jobs_of(chat, facts, size)
    except BadParameter as error:
        raise BadParameter(own_name(error.parameter), error.what, error.why, error.fix, error.code) from None
    return chat, evolve(job, source="input", form=own_name(job.form))


async def _frames(
    service: Service, call: Call, pool: ModelPool, job: Job, writer: ResponseWriter
) -> AsyncGenerator[bytes, None]:
    answer = Answer()
    begun = False
    async with aclosing(run(service, call, pool, job)) as stream:
        async for chunks in stream:
            out = b"" if begun else writer.begin()
            begun = True
            for chunk in joined(chunks):
                answer.add(chunk)
                out += writer.feed(chunk)
            yield out
    service.log_answers(call, [answer])


def _response(request: ResponsesRequest, model: str) -> dict[str, Any]:
    given = request.model_dump(by_alias=True, exclude_none=True)
    return {
        "id": new_id("resp_"), "object": "response", "created_at": now(), "model": model, "error": None,
        "incomplete_details": None, "instructions": request.instructions, "metadata": request.metadata or {},
        "max_output_tokens": request.max_output_tokens, "temperature": request.temperature, "top_p": request.top_p,
        "parallel_tool_calls": request.parallel_tool_calls is not False, "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None, **given.get("reasoning", {})}, "store": False,
        "text": given.get("text", {"format": {"type": "text"}}), "tool_choice": given.get("tool_choice", "auto"),
        "tools": [{"strict": None, "parameters": None, **tool} for tool in given.get("tools", [])],
        "top_logprobs": request.top_logprobs or 0, "truncation": "disabled", "user": request.user,
    }  # fmt: skip
