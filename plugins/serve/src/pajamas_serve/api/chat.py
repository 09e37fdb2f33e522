"""POST /v1/chat/completions."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from attrs import evolve

from pajamas.types import Chunk, GenerateRequest
from pajamas_serve.api import chat_template, tools
from pajamas_serve.api.amount import check_amount, encoded, made
from pajamas_serve.api.body import received
from pajamas_serve.api.endpoint import JSON, Events, Raw
from pajamas_serve.api.messages import messages
from pajamas_serve.api.objects import DONE, chat_logprobs, frame, new_id, now, timings, tool_call, usage_object
from pajamas_serve.api.requests import ChatRequest
from pajamas_serve.api.running import Answer, Job, collect, prepared, run_all, with_sampling
from pajamas_serve.api.sampling import longest, refuse_stream_options, sampling, schema_of, stops
from pajamas_serve.api.usage_so_far import UsageSoFar, usage_so_far
from pajamas_serve.errors import BadParameter

if TYPE_CHECKING:
    from pajamas.worker.protocol import Facts
    from pajamas_serve.api.endpoint import Call, Reply
    from pajamas_serve.pool.pool import ModelPool
    from pajamas_serve.service import Service


async def chat(service: Service, call: Call) -> Reply:
    request = await received(ChatRequest, call.body)
    pool = service.pool(call, request.model)
    facts = await pool.learn()
    jobs = await jobs_of(request, facts, len(call.body))
    check_amount(service.settings, jobs, facts.context_length)
    service.log_request(call, request, request.messages)
    answer = _Object(call, service.fingerprint(pool), with_logprobs=bool(request.logprobs))
    if request.stream:
        usage = await usage_so_far(pool, request.stream_options, jobs[:1])
        return Events(frames=_frames(service, call, pool, jobs, answer, usage))
    answers = await collect(service, call, pool, jobs)
    service.log_answers(call, answers)
    size = sum(len(one.logprobs) for one in answers)
    return Raw(body=await made(lambda: encoded(answer.whole(answers)), size), type=JSON)


async def jobs_of(request: ChatRequest, facts: Facts, size: int) -> list[Job]:
    """One job a choice.

    Raises:
        BadParameter, UsageError, UnsupportedFeature, TemplateError: what the request asks for cannot be done.
    """
    _check(request)
    choice = tools.choice_of(request.tool_choice, request.tools)
    mode, variables = chat_template.variables(request.chat_template_kwargs, request.reasoning_effort, facts)
    schema = schema_of(request.response_format)
    if choice.forced and (schema is not None or request.grammar is not None):
        raise BadParameter("tool_choice", "A forced tool call cannot have another form too.", "Leave one of them out.")
    if mode == "thinking" and (schema is not None or request.grammar is not None or choice.forced):
        raise BadParameter(
            "chat_template_kwargs", "Thinking cannot be combined with an answer of a given form.",
            "The form constrains every token, the reasoning too.", "Leave one of them out.",
        )  # fmt: skip
    wanted = GenerateRequest(
        messages=tuple(messages(request.messages, facts.chat_template or "")),
        tools=choice.tools,
        mode=mode,
        template_variables=variables,
        sampling=sampling(request),
        max_tokens=longest(request),
        stop=stops(request),
        ignore_eos=bool(request.ignore_eos),
        logprobs=(request.top_logprobs or 0) if request.logprobs else None,
        json_schema=choice.schema if choice.forced else schema,
        grammar=request.grammar,
        cache_prompt=request.cache_prompt is not False,
    )
    job = await prepared(facts, wanted, size)
    if choice.forced:
        job = tools.force(job, choice, facts)
    job = evolve(job, one_call=request.parallel_tool_calls is False and bool(choice.tools))
    return [with_sampling(job, sampling(request, number)) for number in range(request.n or 1)]


def _check(request: ChatRequest) -> None:
    refuse_stream_options(request)
    if request.top_logprobs is not None and not request.logprobs:
        raise BadParameter("top_logprobs", "'top_logprobs' needs 'logprobs'.", "Set logprobs to true.")


class _Object:
    """What all parts of one answer have in common."""

    def __init__(self, call: Call, fingerprint: str, *, with_logprobs: bool) -> None:
        self._head = {
            "id": new_id("chatcmpl-"),
            "created": now(),
            "model": call.model,
            "system_fingerprint": fingerprint,
        }
        self._logprobs = with_logprobs
        self._chunk_head = json.dumps({"object": "chat.completion.chunk", **self._head}, separators=(",", ":"))[:-1]

    def whole(self, answers: list[Answer]) -> dict[str, Any]:
        choices = [self._choice(number, answer) for number, answer in enumerate(answers)]
        return {"object": "chat.completion", **self._head, "choices": choices, **_costs(answers)}

    def _choice(self, number: int, answer: Answer) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": answer.text or (None if answer.calls else "")}
        message["refusal"] = None
        if answer.reasoning:
            # Two names: DeepSeek's, and the one that vLLM has moved to.
            message["reasoning_content"] = message["reasoning"] = answer.reasoning
        if answer.calls:
            message["tool_calls"] = [tool_call(call) for call in answer.calls]
        logprobs = chat_logprobs(answer.logprobs) if self._logprobs else None
        return {"index": number, "message": message, "logprobs": logprobs, "finish_reason": answer.finish_reason}

    def delta(self, number: int, delta: dict[str, Any], chunk: Chunk | None, tail: str) -> bytes:
        """One chunk of a stream. Its head never changes, and is not encoded again."""
        entries = chunk.logprobs if chunk else ()
        said = bool(delta) and "role" not in delta
        logprobs = chat_logprobs(entries) if self._logprobs and (entries or said) else None
        reason = chunk.finish_reason if chunk else None
        choice = {"index": number, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
        text = f'data: {self._chunk_head},"choices":[{json.dumps(choice, separators=(",", ":"))}]{tail}}}\n\n'
        return text.encode()

    def last(self, answers: list[Answer]) -> bytes:
        return frame({"object": "chat.completion.chunk", **self._head, "choices": [], **_costs(answers)})


def _costs(answers: list[Answer]) -> dict[str, Any]:
    """Tokens of all choices, which share one prompt; and the times, where there is one choice to have them."""
    usages = [answer.usage for answer in answers if answer.usage]
    thought = sum(answer.reasoning_tokens for answer in answers)
    usage = usage_object(usages, thought, prompts=usages[0].prompt_tokens if usages else 0)
    return {"usage": usage, **({"timings": timings(usages[0])} if len(usages) == 1 else {})}


async def _frames(
    service: Service, call: Call, pool: ModelPool, jobs: list[Job], answer: _Object, usage: UsageSoFar
) -> AsyncGenerator[bytes, None]:
    answers = [Answer() for _ in jobs]
    begun: set[int] = set()
    async with aclosing(run_all(service, call, pool, jobs)) as stream:
        async for number, chunks in stream:
            parts = []
            if number not in begun:
                begun.add(number)
                # null, as where a tool call begins: nothing is said yet.
                begin = {"role": "assistant", "content": None}
                parts.append(answer.delta(number, begin, None, usage.tail(answers)))
            for chunk in joined(chunks):
                deltas = _deltas(answers[number], chunk)
                answers[number].add(chunk)
                tail = usage.tail(answers)
                parts += [answer.delta(number, delta, part, tail) for delta, part in deltas]
            if parts:
                yield b"".join(parts)
    service.log_answers(call, answers)
    if usage.at_end:
        yield answer.last(answers)
    yield DONE


def _deltas(answer: Answer, chunk: Chunk) -> list[tuple[dict[str, Any], Chunk | None]]:
    """What a chunk becomes: its text, then each call's name and its arguments, then the end."""
    deltas: list[tuple[dict[str, Any], Chunk | None]] = []
    if chunk.reasoning:
        deltas.append(({"reasoning_content": chunk.reasoning, "reasoning": chunk.reasoning}, None))
    if chunk.text:
        deltas.append(({"content": chunk.text}, None))
    for index, call in enumerate(chunk.tool_calls, len(answer.calls)):
        whole = tool_call(call)
        arguments = whole["function"]["arguments"]
        opened = {**whole, "function": {"name": call.name, "arguments": ""}}
        deltas.append(({"tool_calls": [{"index": index, **opened}]}, None))
        deltas.append(({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}, None))
    if chunk.logprobs and deltas:
        deltas[0] = (deltas[0][0], Chunk(logprobs=chunk.logprobs))
    elif chunk.logprobs:
        deltas.append(({}, Chunk(logprobs=chunk.logprobs)))
    if chunk.finish_reason is not None:
        deltas.append(({}, Chunk(finish_reason=chunk.finish_reason)))
    return deltas


def joined(chunks: list[Chunk]) -> list[Chunk]:
    """Neighbours of text, and neighbours of reasoning, made one: what came together goes out together."""
    if len(chunks) == 1:
        return chunks
    return [_one(list(run)) for _, run in itertools.groupby(chunks, _kind)]


def _kind(chunk: Chunk) -> object:
    if chunk.tool_calls or chunk.finish_reason is not None:
        return id(chunk)  # by itself
    return bool(chunk.reasoning)


def _one(run: list[Chunk]) -> Chunk:
    if len(run) == 1:
        return run[0]
    return Chunk(
        text="".join(chunk.text for chunk in run),
        reasoning="".join(chunk.reasoning for chunk in run),
        token_ids=tuple(token for chunk in run for token in chunk.token_ids),
        logprobs=tuple(entry for chunk in run for entry in chunk.logprobs),
    )
