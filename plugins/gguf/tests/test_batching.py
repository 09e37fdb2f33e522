"""Many requests at once: each gets its own answer, and its place is free afterwards."""

from __future__ import annotations

import threading

import pytest

from batching_rules import LIMIT, BatchingRules, answer, prompt_of, request, running, together, tokens_of
from pajamas.errors import EngineError
from pajamas.types import Sampling
from pajamas_gguf.session.context import Context


@pytest.fixture(scope="module")
def load_many(tiny_q4, load_session):
    return lambda **options: load_session(tiny_q4, **options)


@pytest.fixture(scope="module")
def many(load_many):
    return load_many()


class TestBatching(BatchingRules):
    pass


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


def test_all_are_answered_though_the_cache_has_room_for_few(tiny_q4, load_session):
    session = load_session(tiny_q4, context_length=512)
    found = together(8, lambda number: answer(session, prompt_of(number, words=60), max_tokens=150))

    assert [len(tokens) for tokens in found] == [150] * 8
    assert [tokens[:2] for tokens in found] == [answer(session, prompt_of(n, words=60))[:2] for n in range(8)]


class FailingEngine:
    """In place of `Context.compute`: an engine that fails where a batch holds one token. No real model does so."""

    def __init__(self, monkeypatch, token):
        def failing(name):
            real = getattr(Context, name)

            def compute(context):
                batch = context.batch
                if token in batch._tokens[: batch.size]:
                    raise EngineError("llama.cpp failed to compute.", "It is that token.", "")
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
