"""Requests to a session, timed as their caller sees them."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator

from attrs import evolve

from pajamas.errors import UsageError
from pajamas.operations import generation
from pajamas.plugins import PluginHost
from pajamas.types import Chunk, Feature, GenerateRequest, Sampling, Session
from pajamas_bench.cases import Case
from pajamas_bench.messages import Answer, Run

WARM_PROMPT, WARM_ANSWER = 256, 16
"""Tokens of a warm-up, at most."""
TEXT = (
    "The lighthouse keeper wrote down the wind, the height of the tide and the name of every ship that passed. "
    "In winter there were days without a ship, and then he wrote about the gulls. 1, 2, 3, 5, 8, 13. "
)
"""Repeated to the length of a prompt that is given in tokens."""


class Asker:
    """Puts cases to one loaded session."""

    def __init__(self, session: Session, host: PluginHost) -> None:
        self.session = session
        self.host = host

    def ask(self, case: Case, *, warm_up: bool = False) -> Run:
        """Put `case` to the session once.

        Raises:
            PajamasError: what core's rendering and the session raise.
        """
        if warm_up:
            case = evolve(case, answer_tokens=min(case.answer_tokens, WARM_ANSWER))
            if case.context:
                case = evolve(case, context=min(case.context, WARM_PROMPT + case.answer_tokens))
        requests = [self._request(case, number) for number in range(case.concurrency or 1)]
        if len(requests) > 1 and Feature.PARALLEL in self.session.features:
            return self._together(requests)
        return self._in_turn(requests)

    def _request(self, case: Case, number: int) -> GenerateRequest:
        request = GenerateRequest(
            max_tokens=case.answer_tokens,
            sampling=Sampling(temperature=0.0),  # greedy, so that runs can be held against each other
            ignore_eos=Feature.IGNORE_EOS in self.session.features,
            cache_prompt=False,  # every run computes its prompt
        )
        if case.context is not None:
            length = case.context - case.answer_tokens
            return evolve(request, token_ids=tuple(exact_prompt(self.session, length)))
        # Requests that run at once begin differently: none may live on what another has computed.
        return evolve(request, prompt=case.prompt if case.concurrency is None else f"{number + 1}. {case.prompt}")

    def _in_turn(self, requests: list[GenerateRequest]) -> Run:
        """All of them are made now, and each waits for those before it. In this thread, where some engines must be."""
        began = time.perf_counter()
        answers = tuple(self._timed(request, began) for request in requests)
        return Run(answers=answers, seconds=answers[-1].total)

    def _together(self, requests: list[GenerateRequest]) -> Run:
        answers: list[Answer | BaseException | None] = [None] * len(requests)
        times = [0.0] * len(requests)
        ready = threading.Barrier(len(requests))

        def work(number: int) -> None:
            ready.wait()
            times[number] = time.perf_counter()
            try:
                answers[number] = self._timed(requests[number], times[number])
            except BaseException as error:  # raised by the thread that waits for all of them
                answers[number] = error

        threads = [threading.Thread(target=work, args=(number,)) for number in range(len(requests))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for found in answers:
            if isinstance(found, BaseException):
                raise found
        whole = tuple(found for found in answers if isinstance(found, Answer))
        # By the threads' own clocks: this one may have looked at its own when some were on their way already.
        ends = [began + answer.total for began, answer in zip(times, whole, strict=True)]
        return Run(answers=whole, seconds=max(ends) - min(times))

    def _timed(self, request: GenerateRequest, began: float) -> Answer:
        return timed(lambda: generation.stream(self.session, request, host=self.host), began)


def timed(start: Callable[[], Iterator[Chunk]], began: float) -> Answer:
    """Read the stream that `start` opens, and note when each token came.

    Args:
        began: when the request was made, by `time.perf_counter`.
    """
    times: list[tuple[float, int]] = []
    token_ids: list[int] = []
    parts: list[str] = []
    usage = finish_reason = None
    for chunk in start():
        if chunk.token_ids:
            times.append((time.perf_counter() - began, len(chunk.token_ids)))
            token_ids += chunk.token_ids
        parts += (chunk.reasoning, chunk.text)
        usage = chunk.usage or usage
        finish_reason = chunk.finish_reason or finish_reason
    total = time.perf_counter() - began
    return Answer(
        first_token=times[0][0] if times else None,
        total=total,
        gaps=gaps(times),
        token_ids=tuple(token_ids),
        first_tokens=times[0][1] if times else 0,
        text="".join(parts),
        prompt_tokens=usage.prompt_tokens if usage else 0,
        cached_tokens=usage.cached_tokens if usage else 0,
        prompt_seconds=usage.prompt_seconds if usage else 0.0,
        generation_seconds=usage.generation_seconds if usage else 0.0,
        finish_reason=finish_reason,
    )


def gaps(times: list[tuple[float, int]]) -> tuple[float, ...]:
    """Seconds between tokens, from (time, tokens that came then): each of several takes its share of the time."""
    found: list[float] = []
    for (before, _), (now, count) in itertools.pairwise(times):
        found += [(now - before) / count] * count
    return tuple(found)


def exact_prompt(session: Session, length: int) -> list[int]:
    """`length` tokens of a repeated text, with those in front that the model expects there.

    Raises:
        UsageError: the text has no tokens.
    """
    unit = session.tokenize(TEXT, add_special=False)
    if not unit:
        raise UsageError("No prompt can be made for this model.", "Its tokenizer makes nothing of a plain text.", "")
    whole = session.tokenize(TEXT, add_special=True)
    lead = whole[: len(whole) - len(unit)] if whole[-len(unit) :] == unit else []
    return (lead + unit * (length // len(unit) + 1))[:length]
