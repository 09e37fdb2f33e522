"""Runs prepared requests in a pool: one answer or several side by side, parsed, counted and timed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from attrs import evolve, field, frozen, mutable

from pajamas.chat.mode import resolved_mode
from pajamas.chat.parser import ChunkParser, chat_parser
from pajamas.chat.stops import StopReader
from pajamas.errors import ContextOverflow, TemplateError, UnsupportedFeature, UsageError
from pajamas.needs import feature_words, needed_features
from pajamas.operations.generation import check_request, prepare
from pajamas.types import Chunk, Feature, FinishReason, GenerateRequest, Sampling, TokenLogprob, ToolCall, Usage
from pajamas_serve.api.amount import check_prompt
from pajamas_serve.api.content_logprobs import ContentLogprobs
from pajamas_serve.errors import BadParameter, PromptTooLong

if TYPE_CHECKING:
    from pajamas.types import Session
    from pajamas.worker.protocol import Facts
    from pajamas_serve.api.endpoint import Call
    from pajamas_serve.pool.member import Slot
    from pajamas_serve.pool.pool import ModelPool
    from pajamas_serve.service import Service

T = TypeVar("T")

_LARGE = 2**15
"""Characters of messages from which on they are rendered in a thread, not between other requests' tokens."""

_NAMES = {Feature.JSON_SCHEMA: "response_format", Feature.THINKING: "chat_template_kwargs"}
"""Parameters that are called otherwise than the feature that they need."""


class Reader(Protocol):
    """Takes an answer apart; `pajamas.chat.parser.ChunkParser` is one."""

    def feed(self, raw: Chunk) -> list[Chunk]: ...


@frozen(kw_only=True)
class Job:
    """One answer to be computed."""

    request: GenerateRequest
    """Rendered."""
    reader: Callable[[], Reader] | None = None
    """Makes what takes the answer apart; None where it is plain text."""
    stop: tuple[str, ...] = ()
    """Looked for in the answer and not in its reasoning, and therefore here and not by the backend."""
    one_call: bool = False
    """End after the first tool call."""
    source: str = "prompt"
    """The parameter that the prompt was made of, for errors."""
    form: str | None = None
    """The one that says what form the answer has."""


@mutable
class Answer:
    """What has come of one answer."""

    text: str = ""
    reasoning: str = ""
    calls: list[ToolCall] = field(factory=list)
    logprobs: list[TokenLogprob] = field(factory=list)
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    tokens: int = 0
    reasoning_tokens: int = 0

    def add(self, chunk: Chunk) -> None:
        self.text += chunk.text
        self.reasoning += chunk.reasoning
        self.calls += chunk.tool_calls
        self.logprobs += chunk.logprobs
        self.tokens += len(chunk.token_ids)
        self.reasoning_tokens += len(chunk.token_ids) if chunk.reasoning else 0
        self.finish_reason = chunk.finish_reason or self.finish_reason
        self.usage = chunk.usage or self.usage


async def prepared(facts: Facts, request: GenerateRequest, size: int) -> Job:
    """Check and render a request.

    Args:
        size: characters of it.

    Raises:
        BadParameter, UsageError, UnsupportedFeature: as `pajamas.operations.generation.stream`.
    """
    check_request(request)
    _refuse(request, facts)
    if request.prompt is not None:
        check_text(request.prompt, "prompt")
    session = cast("Session", facts)  # they say all that `prepare` asks of one
    try:
        if size > _LARGE:
            ready, reader = await asyncio.to_thread(prepare, session, request)
        else:
            ready, reader = prepare(session, request)
    except (TemplateError, UsageError) as error:
        code = "template_error" if isinstance(error, TemplateError) else "invalid_value"
        raise BadParameter("messages", error.what, error.why, error.fix, code=code) from None
    template, prompt = facts.chat_template, ready.prompt
    form = "response_format" if request.json_schema is not None else "grammar" if request.grammar is not None else None
    if reader is None or template is None or prompt is None:
        return Job(request=ready, form=form)
    stop = ready.stop if resolved_mode(template, request.mode) != "non-thinking" else ()
    return Job(
        request=evolve(ready, stop=()) if stop else ready,
        reader=lambda: ChunkParser(chat_parser(template, prompt, request.tools)),
        stop=stop,
        source="messages",
        form=form,
    )


def _refuse(request: GenerateRequest, facts: Facts) -> None:
    """Raises BadParameter for what the model or its backend does not have: features, tokens."""
    for feature in sorted(needed_features(request) - facts.features):
        name = _NAMES.get(feature, feature.value.replace("-", "_"))
        raise BadParameter(
            name, f"{name!r} needs {feature.value}, which backend {facts.backend!r} does not have for this model.",
            f"It has: {feature_words(facts.features)}.", code="unsupported_parameter",
        )  # fmt: skip
    if (count := len(request.token_ids or ())) > facts.context_length:  # before anybody looks at each of them
        raise PromptTooLong(
            "prompt", f"The prompt has {count:,} tokens.", f"The context holds {facts.context_length:,}.",
            "Shorten it.", tokens=count, context=facts.context_length,
        )  # fmt: skip
    size = facts.architecture.vocab_size
    for name, tokens in (("prompt", request.token_ids or ()), ("logit_bias", request.sampling.logit_bias)):
        if size and (wrong := next((token for token in tokens if not 0 <= token < size), None)) is not None:
            raise BadParameter(name, f"There is no token {wrong}.", f"The vocabulary has {size:,}.")


def check_text(text: str, parameter: str) -> None:
    """Raises BadParameter for half a character, which no model can read."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadParameter(parameter, f"{parameter!r} holds half of a character (a lone surrogate).") from None


async def run(service: Service, call: Call, pool: ModelPool, job: Job) -> AsyncGenerator[list[Chunk], None]:
    """What has come, in lists of one chunk at least; the last one has `finish_reason` and `usage`."""
    request = await _limited(service, pool, job.request, job.source)
    reader = job.reader() if job.reader else None
    watch = service.metrics.answer(call.model, call.began)
    async with pool.slot(request.token_ids or request.prompt) as slot:
        watch.waited()
        owner = ContentLogprobs() if reader is not None and request.logprobs is not None else None
        cutter = None
        if job.stop or job.one_call:
            cutter = StopReader(job.stop, len(await slot.worker.tokenize(request.prompt or "")))
        async with aclosing(_generated(slot, request, job)) as stream:
            async for raw in stream:
                watch.got(raw)
                parsed = raw if reader is None else [chunk for one in raw for chunk in reader.feed(one)]
                if owner is not None:
                    parsed = [owner.feed(chunk) for chunk in parsed]
                if cutter is not None:
                    parsed = _cut(cutter, parsed, one_call=job.one_call)
                if parsed:
                    watch.ended(parsed[-1])
                    yield parsed
                    if parsed[-1].finish_reason is not None:
                        break


async def _generated(slot: Slot, request: GenerateRequest, job: Job) -> AsyncGenerator[list[Chunk], None]:
    """What the worker gives; what it refuses is said of the parameter that asked for it."""
    try:
        async with aclosing(slot.generate(request)) as stream:
            async for chunks in stream:
                yield chunks
    except ContextOverflow as error:
        tokens = request.token_ids or await slot.worker.tokenize(request.prompt or "")
        raise PromptTooLong(
            job.source, error.what, error.why, error.fix, tokens=len(tokens), context=slot.facts.context_length
        ) from None
    except (UsageError, UnsupportedFeature) as error:
        if job.form is None:
            raise
        raise BadParameter(job.form, error.what, error.why, error.fix) from None


async def run_all(
    service: Service, call: Call, pool: ModelPool, jobs: Sequence[Job]
) -> AsyncGenerator[tuple[int, list[Chunk]], None]:
    """The chunks of several answers as they come, each list with the number of its job."""
    async with aclosing(merged([run(service, call, pool, job) for job in jobs])) as stream:
        async for item in stream:
            yield item


async def collect(service: Service, call: Call, pool: ModelPool, jobs: Sequence[Job]) -> list[Answer]:
    """Whole answers, in the order of their jobs."""
    answers = [Answer() for _ in jobs]
    async with aclosing(run_all(service, call, pool, jobs)) as stream:
        async for number, chunks in stream:
            for chunk in chunks:
                answers[number].add(chunk)
    return answers


async def merged(streams: Sequence[AsyncGenerator[T, None]]) -> AsyncGenerator[tuple[int, T], None]:
    """Items as they come, each with the number of its stream. The first error ends them all."""
    if len(streams) == 1:
        async with aclosing(streams[0]) as only:
            async for first in only:
                yield 0, first
        return
    queue: asyncio.Queue[tuple[int, T] | BaseException | None] = asyncio.Queue()

    async def read(number: int, stream: AsyncGenerator[T, None]) -> None:
        try:
            async with aclosing(stream) as items:
                async for item in items:
                    queue.put_nowait((number, item))
            queue.put_nowait(None)
        except Exception as error:
            queue.put_nowait(error)

    tasks = [asyncio.ensure_future(read(number, stream)) for number, stream in enumerate(streams)]
    try:
        left = len(tasks)
        while left:
            item = await queue.get()
            if item is None:
                left -= 1
            elif isinstance(item, BaseException):
                raise item
            else:
                yield item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _limited(service: Service, pool: ModelPool, request: GenerateRequest, source: str) -> GenerateRequest:
    """The server's own limits on prompt and answer."""
    settings = service.settings
    if settings.max_prompt_tokens is not None:
        count = len(request.token_ids or ())
        if request.prompt is not None:
            async with pool.any_worker() as worker:
                count = len(await worker.tokenize(request.prompt))
        check_prompt(settings, source, count)
    if settings.max_tokens is None:
        return request
    return evolve(request, max_tokens=min(request.max_tokens or settings.max_tokens, settings.max_tokens))


def _cut(cutter: StopReader, chunks: list[Chunk], *, one_call: bool) -> list[Chunk]:
    """Up to a stop string, or up to the first tool call if there is to be only one: that ends the answer."""
    taken = []
    for chunk in map(cutter.feed, chunks):
        taken.append(chunk)
        if one_call and chunk.tool_calls:
            usage = chunk.usage or cutter.usage()
            taken[-1] = evolve(chunk, tool_calls=chunk.tool_calls[:1], finish_reason="tool_calls", usage=usage)
        if taken[-1].finish_reason is not None:
            break
    return taken


def with_sampling(job: Job, sampling: Sampling) -> Job:
    """The same job with another seed."""
    return evolve(job, request=evolve(job.request, sampling=evolve(job.request.sampling, seed=sampling.seed)))
