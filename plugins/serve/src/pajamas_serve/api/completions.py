"""POST /v1/completions: text or tokens continued, without any chat template."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from pajamas.errors import ContextOverflow, UsageError
from pajamas.types import Chunk, Feature, FinishReason, GenerateRequest, TokenLogprob, Usage
from pajamas_serve.api.amount import check_amount, check_prompt, encoded, made
from pajamas_serve.api.body import received
from pajamas_serve.api.chat import joined
from pajamas_serve.api.completion_logprobs import CompletionLogprobs
from pajamas_serve.api.endpoint import JSON, Events, Raw
from pajamas_serve.api.objects import DONE, frame, new_id, now, timings, usage_object
from pajamas_serve.api.prompt_scores import TokenScore, score_prompt
from pajamas_serve.api.requests import CompletionRequest
from pajamas_serve.api.running import Answer, Job, check_text, collect, prepared, run_all
from pajamas_serve.api.sampling import longest, refuse_stream_options, sampling, schema_of, stops
from pajamas_serve.api.usage_so_far import UsageSoFar, usage_so_far
from pajamas_serve.errors import BadParameter, PromptTooLong

if TYPE_CHECKING:
    from pajamas.worker.protocol import Facts
    from pajamas_serve.api.endpoint import Call, Reply
    from pajamas_serve.pool.pool import ModelPool
    from pajamas_serve.service import Service

_DEFAULT_TOKENS = 16

Prompt = str | list[int]


@frozen(kw_only=True)
class _Echo:
    """A prompt that is given back."""

    text: str
    tokens: tuple[int, ...]
    scores: tuple[TokenScore, ...] = ()
    pieces: dict[int, str]
    end: TokenLogprob | None = None
    """The token that ends an answer, were it the first."""


async def completions(service: Service, call: Call) -> Reply:
    request = await received(CompletionRequest, call.body)
    prompts = prompts_of(request.prompt)
    n = request.n or 1
    _check(service, request, len(prompts) * n)
    pool = service.pool(call, request.model)
    facts = await pool.learn()
    service.log_request(call, request, request.prompt)
    if request.echo and request.logprobs is not None and Feature.SCORE not in facts.features:
        raise BadParameter(
            "echo", f"Backend {facts.backend!r} cannot score a prompt.", "Leave 'echo' or 'logprobs' out.",
            code="unsupported_parameter",
        )  # fmt: skip
    jobs = [await _job(facts, request, prompt, number) for prompt in prompts for number in range(n)]
    check_amount(service.settings, jobs, facts.context_length)
    echoes: list[_Echo] | None = None
    if request.echo:
        found = await asyncio.gather(*(_echo(service, pool, prompt, request.logprobs) for prompt in prompts))
        echoes = [echo for echo in found for _ in range(n)]
        # The tokens that were scored are those that are gone on from.
        jobs = [
            evolve(job, request=evolve(job.request, prompt=None, token_ids=echo.tokens))
            for job, echo in zip(jobs, echoes, strict=True)
        ]
    if request.max_tokens == 0:
        jobs = []
    answer = _Object(call, service.fingerprint(pool), request, echoes, n)
    if request.stream:
        usage = await usage_so_far(pool, request.stream_options, jobs[::n])
        return Events(frames=_frames(service, call, pool, jobs, answer, usage, len(prompts) * n))
    answers = (
        await collect(service, call, pool, jobs) if jobs else [Answer(finish_reason="length") for _ in echoes or ()]
    )
    for number, one in enumerate(answers):
        one.logprobs += answer.ending(number, one.tokens, one.finish_reason)
    service.log_answers(call, answers)
    size = sum(len(one.logprobs) for one in answers) + sum(len(echo.scores) for echo in echoes or ())
    return Raw(body=await made(lambda: encoded(answer.whole(answers)), size), type=JSON)


def prompts_of(given: str | list[Any]) -> list[Prompt]:
    """One prompt or several, each text or tokens.

    Raises:
        BadParameter: there is none, or one is empty.
    """
    several: list[Prompt] = [given] if isinstance(given, str) or (given and isinstance(given[0], int)) else list(given)
    if not several or any(not prompt for prompt in several):
        raise BadParameter("prompt", "A prompt is empty.", "The model needs something to go on from.")
    for prompt in several:
        if isinstance(prompt, str):
            check_text(prompt, "prompt")
    return several


def _check(service: Service, request: CompletionRequest, count: int) -> None:
    refuse_stream_options(request)
    if count > service.settings.max_choices:
        raise BadParameter("prompt", f"{count} answers are too many for one request.",
                           f"This server gives {service.settings.max_choices}.")  # fmt: skip
    if request.best_of not in (None, request.n or 1):
        raise BadParameter(
            "best_of", "'best_of' cannot differ from 'n'.", "Leave it out.", code="unsupported_parameter"
        )
    if request.max_tokens == 0 and not request.echo:
        raise BadParameter("max_tokens", "0 tokens are no answer.", "Ask for one at least, or for 'echo'.")


async def _job(facts: Facts, request: CompletionRequest, prompt: Prompt, number: int) -> Job:
    given = {"prompt": prompt, "raw": True} if isinstance(prompt, str) else {"token_ids": tuple(prompt)}
    wanted = GenerateRequest(
        **given,
        sampling=sampling(request, number),
        max_tokens=_DEFAULT_TOKENS if (tokens := longest(request)) is None else max(1, tokens),
        stop=stops(request),
        ignore_eos=bool(request.ignore_eos),
        logprobs=request.logprobs,
        json_schema=schema_of(request.response_format),
        grammar=request.grammar,
        cache_prompt=request.cache_prompt is not False,
    )
    return await prepared(facts, wanted, len(prompt))


async def _echo(service: Service, pool: ModelPool, prompt: Prompt, logprobs: int | None) -> _Echo:
    async with pool.slot() as slot:
        worker = slot.worker
        tokens = await worker.tokenize(prompt) if isinstance(prompt, str) else prompt
        check_prompt(service.settings, "prompt", len(tokens))
        text = prompt if isinstance(prompt, str) else await worker.detokenize(tokens)
        if logprobs is None:
            return _Echo(text=text, tokens=tuple(tokens), pieces={})
        if not tokens:
            raise UsageError("The prompt has no tokens.", "", "Write something.")
        text_of_end = slot.facts.special_tokens.get("eos_token", "")
        end, *more = await worker.tokenize(text_of_end, add_special=False) if text_of_end else (None,)
        try:
            scores = await score_prompt(worker, tokens, None if more else end, logprobs)
        except ContextOverflow as error:
            context = slot.facts.context_length
            raise PromptTooLong(
                "prompt", error.what, error.why, error.fix, tokens=len(tokens), context=context
            ) from None
        wanted = {token for score in scores for token in (score.token, *(top for top, _ in score.top))}
        pieces = await pool.pieces.of(worker, wanted)
    last = _entry(scores[-1], pieces) if len(scores) > len(tokens) else None
    return _Echo(text=text, tokens=tuple(tokens), scores=tuple(scores[: len(tokens)]), pieces=pieces, end=last)


def _entry(score: TokenScore, pieces: Mapping[int, str]) -> TokenLogprob:
    assert score.logprob is not None  # it follows the prompt
    first, *top = (
        TokenLogprob(token_id=token, token=pieces[token], bytes=pieces[token].encode(), logprob=value)
        for token, value in ((score.token, score.logprob), *score.top)
    )
    return evolve(first, top=tuple(top))


class _Object:
    """What all parts of one answer have in common."""

    def __init__(
        self, call: Call, fingerprint: str, request: CompletionRequest, echoes: list[_Echo] | None, n: int
    ) -> None:
        self._head = {
            "id": new_id("cmpl-"), "object": "text_completion", "created": now(), "model": call.model,
            "system_fingerprint": fingerprint,
        }  # fmt: skip
        self._frame_head = json.dumps(self._head, separators=(",", ":"))[:-1]
        self._count = request.logprobs
        self._echoes = echoes
        self._n = n
        self._writers: dict[int, CompletionLogprobs] = {}

    def whole(self, answers: list[Answer]) -> dict[str, Any]:
        choices = []
        for number, answer in enumerate(answers):
            parts = [self._echo(number), (answer.text, self._logprobs(number, answer.logprobs))]
            logprobs = [part[1] for part in parts if part[1]]
            choices.append(self._choice(number, "".join(part[0] for part in parts), _added(logprobs), answer))
        return {**self._head, "choices": choices, **self._costs(answers)}

    def ending(self, number: int, tokens: int, reason: FinishReason | None) -> tuple[TokenLogprob, ...]:
        """After an echo, of an answer that the model ended at once: its one token. Evaluation tools ask for one token
        and take the last entry away, which would else be the prompt's.
        """
        if self._echoes is None or self._count is None or reason != "stop" or tokens:
            return ()
        end = self._echoes[number].end
        return () if end is None else (end,)

    def first(self, number: int, tail: str) -> bytes:
        """The echo, as the first part of a stream; nothing where none was asked for."""
        text, logprobs = self._echo(number)
        return self._frame(number, text, logprobs, None, tail) if self._echoes is not None else b""

    def part(self, number: int, chunk: Chunk, tail: str) -> bytes:
        logprobs = self._logprobs(number, chunk.logprobs) if chunk.logprobs else None
        return self._frame(number, chunk.text, logprobs, chunk.finish_reason, tail)

    def end(self, number: int, tail: str) -> bytes:
        """Of an answer of no tokens."""
        return self._frame(number, "", None, "length", tail)

    def last(self, answers: list[Answer]) -> bytes:
        return frame({**self._head, "choices": [], **self._costs(answers)})

    def _costs(self, answers: list[Answer]) -> dict[str, Any]:
        usages = [answer.usage for answer in answers if answer.usage]
        times = {"timings": timings(usages[0])} if len(usages) == 1 else {}
        if not usages and self._echoes is not None:
            usages = [Usage(prompt_tokens=len(echo.tokens), completion_tokens=0) for echo in self._echoes]
        usage = usage_object(usages, prompts=sum(usage.prompt_tokens for usage in usages[:: self._n]))
        return {"usage": usage, **times}

    def _echo(self, number: int) -> tuple[str, dict[str, Any] | None]:
        if self._echoes is None:
            return "", None
        echo = self._echoes[number]
        logprobs = self._writer(number).prompt(echo.scores, echo.pieces, echo.text) if self._count is not None else None
        return echo.text, logprobs

    def _logprobs(self, number: int, entries: Any) -> dict[str, Any] | None:
        return None if self._count is None else self._writer(number).answer(entries)

    def _writer(self, number: int) -> CompletionLogprobs:
        return self._writers.setdefault(number, CompletionLogprobs(self._count or 0))

    def _choice(self, number: int, text: str, logprobs: Any, answer: Answer) -> dict[str, Any]:
        return {"text": text, "index": number, "logprobs": logprobs, "finish_reason": answer.finish_reason}

    def _frame(self, number: int, text: str, logprobs: Any, reason: str | None, tail: str) -> bytes:
        """One part of a stream. Its head never changes, and is not encoded again."""
        choice = {"text": text, "index": number, "logprobs": logprobs, "finish_reason": reason}
        text = f'data: {self._frame_head},"choices":[{json.dumps(choice, separators=(",", ":"))}]{tail}}}\n\n'
        return text.encode()


def _added(parts: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The lists of all parts in one."""
    if not parts:
        return None
    names = [name for name in parts[0] if parts[0][name] is not None]
    return {name: [item for part in parts for item in part[name]] if name in names else None for name in parts[0]}


async def _frames(
    service: Service, call: Call, pool: ModelPool, jobs: list[Job], answer: _Object, usage: UsageSoFar, count: int
) -> AsyncGenerator[bytes, None]:
    answers = [Answer() for _ in range(count)]
    begun: set[int] = set()
    if not jobs:
        tail = usage.tail(answers)
        yield b"".join(answer.first(number, tail) + answer.end(number, tail) for number in range(count))
    else:
        async with aclosing(run_all(service, call, pool, jobs)) as stream:
            async for number, chunks in stream:
                echoed = b"" if number in begun else answer.first(number, usage.tail(answers))
                begun.add(number)
                parts = []
                for chunk in joined(chunks):
                    tokens = answers[number].tokens + len(chunk.token_ids)
                    if end := answer.ending(number, tokens, chunk.finish_reason):
                        chunk = evolve(chunk, logprobs=end)
                    answers[number].add(chunk)
                    if _speaks(chunk):
                        parts.append(answer.part(number, chunk, usage.tail(answers)))
                if data := b"".join([echoed, *parts]):
                    yield data
    service.log_answers(call, answers)
    if usage.at_end:
        yield answer.last(answers)
    yield DONE


def _speaks(chunk: Chunk) -> bool:
    return bool(chunk.text or chunk.logprobs or chunk.finish_reason)
