"""Many requests at once: each gets its own answer, and its place is free afterwards."""

from __future__ import annotations

import threading

import pytest

from batching_requests import GREEDY, LIMIT, answer, prompt_of, request, together, tokens_of
from pajamas.errors import EngineError
from pajamas.types import Sampling
from pajamas_gguf.session.context import Context


@pytest.fixture(scope="module")
def many(tiny_q4, load_session):
    """A session that answers eight at once."""
    return load_session(tiny_q4)


def running(session):
    return sum(len(lane.jobs) for lane in session._scheduler.lanes)


@pytest.mark.parametrize("sampling", [GREEDY, Sampling(temperature=1.5, seed=5)], ids=["greedy", "seeded"])
def test_exact_answers_of_eight_threads_are_those_of_solo_runs(tiny_q4, load_session, many, sampling):
    alone = load_session(tiny_q4, max_sequences=1)
    prompts = [prompt_of(number, words=number * 40) for number in range(8)]
    fields = {"sampling": sampling, "exact": True}
    wanted = [answer(alone, prompt, cache_prompt=False, **fields) for prompt in prompts]

    def run(number):
        if number % 4 == 3:  # some that are computed together, beside them
            answer(many, prompts[number], max_tokens=40)
        return answer(many, prompts[number], **fields)

    assert together(8, run) == wanted


def test_answers_that_are_computed_together_are_not_mixed_up(many):
    """Short and long prompts and answers; each begins as alone. (Later on a near-tie may fall the other way.)"""
    prompts = [prompt_of(number, words=(number % 3) * 120) for number in range(12)]
    lengths = [3 + 5 * (number % 4) for number in range(12)]
    wanted = [answer(many, prompt, cache_prompt=False) for prompt in prompts]
    found = together(12, lambda number: answer(many, prompts[number], max_tokens=lengths[number]))

    assert [len(tokens) for tokens in found] == lengths
    assert [tokens[:2] for tokens in found] == [tokens[:2] for tokens in wanted]
    assert running(many) == 0


def test_answers_are_computed_in_common_steps(many):
    streams = [many.generate(request(prompt_of(number), max_tokens=40)) for number in range(6)]
    for stream in streams:
        next(stream)
    before = many._scheduler.steps
    rest = [list(stream) for stream in streams]

    assert [len(tokens_of(chunks)) for chunks in rest] == [39] * 6
    assert many._scheduler.steps - before <= 40


def test_each_request_has_its_own_sampler_grammar_and_log_probabilities(many):
    digits = "root ::= [0-9] [0-9] [0-9]"
    kinds = [
        {"grammar": digits, "ignore_eos": False},
        {"sampling": Sampling(temperature=2.0, seed=9)},
        {"logprobs": 2},
        {"sampling": Sampling(temperature=0, logit_bias={65: 1000.0})},
        {"stop": ("=",), "ignore_eos": False},
    ]
    wanted = [answer(many, prompt_of(1), exact=True, **fields) for fields in kinds]
    chunks = together(5, lambda number: list(many.generate(request(prompt_of(1), exact=True, **kinds[number]))))

    assert [tokens_of(one) for one in chunks] == wanted
    text = "".join(chunk.text for chunk in chunks[0])
    assert len(text) == 3 and text.isdigit()
    assert [len(chunk.logprobs) for chunk in chunks[2][:-1]] == [1] * 24
    assert not any(chunk.logprobs for chunk in chunks[1])
    assert set(wanted[3]) == {65}
    mixed = together(5, lambda number: list(many.generate(request(prompt_of(1), **kinds[number]))))
    assert set(tokens_of(mixed[3])) == {65} and tokens_of(mixed[0]) == wanted[0] and tokens_of(mixed[1]) == wanted[1]


def test_closing_early_frees_the_place_at_once(many):
    streams = [many.generate(request(prompt_of(number), max_tokens=2000)) for number in range(8)]
    for stream in streams:
        next(stream)
    assert running(many) == 8

    for stream in streams[:5]:
        stream.close()
    assert running(many) == 3
    del stream, streams
    assert len(answer(many, prompt_of(3))) == 24
    assert running(many) == 0


def test_closing_from_another_thread_ends_a_prompt_that_is_being_computed(tiny_q4, load_session):
    session = load_session(tiny_q4, context_length=4096)
    stream = session.generate(request("word " * 3000, max_tokens=10))
    began = threading.Event()
    lane = session._scheduler.lanes[0]
    compute = lane.context.compute_long

    def compute_long():
        began.set()
        compute()

    lane.context.compute_long = compute_long  # looks on
    reasons = []
    reader = threading.Thread(target=lambda: reasons.extend(chunk.finish_reason for chunk in stream), daemon=True)
    reader.start()
    assert began.wait(LIMIT)
    stream.close()
    reader.join(LIMIT)

    assert reasons == ["cancelled"]
    assert running(session) == 0 and len(answer(session, prompt_of(1))) == 24


def test_a_short_prompt_does_not_wait_for_a_long_one(tiny_q4, load_session):
    session = load_session(tiny_q4, context_length=4096)
    scheduler = session._scheduler
    long = session.generate(request("word " * 3500, max_tokens=1))
    began = threading.Event()
    steps = {}

    def read_long():
        steps["begin"] = scheduler.steps
        began.set()
        next(long)
        steps["long"] = scheduler.steps

    thread = threading.Thread(target=read_long, daemon=True)
    thread.start()
    assert began.wait(LIMIT)
    asked = scheduler.steps
    next(session.generate(request(prompt_of(2), max_tokens=1)))
    steps["short"] = scheduler.steps
    thread.join(LIMIT)

    assert steps["short"] - asked <= 3
    assert steps["long"] - steps["begin"] >= 6


def test_an_answer_goes_on_beside_a_long_prompt(tiny_q4, load_session):
    """Each step that computes a piece of the prompt computes a token of the answer too."""
    session = load_session(tiny_q4, context_length=4096)
    answering = session.generate(request(prompt_of(1), max_tokens=60))
    next(answering)
    before = session._scheduler.steps
    prompt = "word " * 2000
    next(session.generate(request(prompt, max_tokens=1)))
    steps = session._scheduler.steps - before

    assert steps >= len(session.tokenize(prompt)) // 128
    ready = len(next(iter(session._scheduler.lanes[0].jobs)).chunks)
    assert ready >= min(steps, 59) - 1


def test_one_more_than_may_wait_is_refused(tiny_q4, load_session):
    session = load_session(tiny_q4, max_sequences=1)
    session._scheduler._most_waiting = 2
    open_one = session.generate(request(prompt_of(0)))
    next(open_one)
    found = together(6, lambda number: answer(session, prompt_of(number), max_tokens=200))

    refused = [one for one in found if isinstance(one, EngineError)]
    assert len(refused) >= 1 and all("max_sequences" in error.fix for error in refused)
    assert [len(one) for one in found if not isinstance(one, EngineError)] == [200] * (6 - len(refused))


def test_a_reader_who_does_not_come_back_holds_up_nobody(tiny_q4, load_session):
    session = load_session(tiny_q4, max_sequences=2, context_length=1024)
    open_ones = [session.generate(request(prompt_of(number), max_tokens=200, exact=number == 2)) for number in range(3)]
    firsts = [next(stream) for stream in open_ones]
    wanted = answer(session, prompt_of(2), max_tokens=200, exact=True)

    assert len(answer(session, prompt_of(7))) == 24
    for number, stream in enumerate(open_ones):
        tokens = tokens_of([firsts[number], *stream])
        assert len(tokens) == 200
        assert number != 2 or tokens == wanted  # computed again, and exactly so


def test_all_are_answered_though_the_cache_has_room_for_few(tiny_q4, load_session):
    session = load_session(tiny_q4, context_length=512)
    found = together(8, lambda number: answer(session, prompt_of(number, words=60), max_tokens=150))

    assert [len(tokens) for tokens in found] == [150] * 8
    assert [tokens[:2] for tokens in found] == [answer(session, prompt_of(n, words=60))[:2] for n in range(8)]


def test_closing_the_session_ends_all_answers(tiny_q4, load_session):
    session = load_session(tiny_q4)
    begun = threading.Barrier(9)

    def run(number):
        stream = session.generate(request(prompt_of(number), max_tokens=None))
        chunks = [next(stream)]
        begun.wait(LIMIT)
        return [*chunks, *stream][-1].finish_reason

    closer = threading.Thread(target=lambda: (begun.wait(LIMIT), session.close()), daemon=True)
    closer.start()
    assert set(together(8, run)) == {"cancelled"}
    closer.join(LIMIT)
    assert not closer.is_alive()


class FailingEngine:
    """In place of `Context.compute`: an engine that fails where a batch holds one token. No real model does so."""

    def __init__(self, monkeypatch, token):
        def failing(name):
            real = getattr(Context, name)

            def compute(context):
                batch = context.batch
                if token in batch._tokens[: batch.size]:
                    raise EngineError("llama.cpp failed to compute", "token", "")
                real(context)

            return compute

        for name in ("compute", "compute_long"):
            monkeypatch.setattr(Context, name, failing(name))


def test_an_error_of_the_engine_fails_only_whom_it_must(tiny_q4, load_session, monkeypatch):
    session = load_session(tiny_q4)
    (bad,) = session.tokenize("~")
    wanted = [answer(session, prompt_of(number)) for number in range(6)]
    FailingEngine(monkeypatch, bad)
    prompts = [prompt_of(number) + ("~" if number == 3 else "") for number in range(6)]
    found = together(6, lambda number: answer(session, prompts[number]))

    assert isinstance(found[3], EngineError)
    assert [tokens[:2] for n, tokens in enumerate(found) if n != 3] == [t[:2] for n, t in enumerate(wanted) if n != 3]
    assert running(session) == 0


def test_a_row_that_cannot_be_sampled_fails_its_request_only(many):
    impossible = {token: -float("inf") for token in range(4096)}
    kinds = [{"sampling": Sampling(temperature=0, logit_bias=impossible)}, {}, {}]
    found = together(3, lambda number: answer(many, prompt_of(number), **kinds[number]))

    assert isinstance(found[0], EngineError)
    assert [len(tokens) for tokens in found[1:]] == [24, 24]
