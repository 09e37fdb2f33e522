"""Many requests at once: each gets its own answer, and its place is free afterwards."""

from __future__ import annotations

import json
import signal
import threading

import pytest

from asked import STORY, request, tokens_of
from batching_rules import LIMIT, BatchingRules, running, together
from gpt_oss_model import make_gpt_oss

SCHEMA = {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 2}


@pytest.fixture(scope="module")
def load_many(load):
    return load


@pytest.fixture(scope="module")
def many(load):
    return load(max_sequences=8)


class TestBatching(BatchingRules):
    pass


def prompt_of(number, words=0):
    return f"{STORY} met {number} ducks. " + " ".join(f"Duck {word} swam." for word in range(words // 3))


def answer(session, prompt, **options):
    return tokens_of(session.generate(request(prompt, **{"ignore_eos": True, **options})))


def test_each_request_has_its_own_sampler_schema_and_log_probabilities(many):
    kinds = [
        {"json_schema": SCHEMA, "ignore_eos": False},
        {"logit_bias": {65: 1000.0}},
        {"logprobs": 2},
        {"stop": (".",), "ignore_eos": False},
        {"repetition_penalty": 2.0},
        {"temperature": 1.0, "seed": 3},
    ]
    wanted = [answer(many, prompt_of(1), exact=True, **options) for options in kinds]
    streams = [many.generate(request(prompt_of(1), **{"ignore_eos": True, **options})) for options in kinds]
    firsts = [next(stream) for stream in streams]
    assert len(many._lane._group.jobs) == 5  # the seeded one is computed by itself
    chunks = [[first, *stream] for first, stream in zip(firsts, streams, strict=True)]

    assert [tokens_of(one)[:3] for one in chunks] == [tokens[:3] for tokens in wanted]
    assert tokens_of(chunks[5]) == wanted[5]
    value = json.loads("".join(chunk.text for chunk in chunks[0]))
    assert len(value) == 2 and all(isinstance(one, bool) for one in value)
    assert set(tokens_of(chunks[1])) == {65}
    assert [len(chunk.logprobs) for chunk in chunks[2][:-1]] == [1] * 24
    assert [entry.token_id for chunk in chunks[2] for entry in chunk.logprobs] == tokens_of(chunks[2])
    assert chunks[3][-1].finish_reason == "stop" and "." not in "".join(chunk.text for chunk in chunks[3])


def test_log_probabilities_in_a_group_are_the_models_own(many):
    streams = [many.generate(request(prompt_of(n), logprobs=0, temperature=3.0, ignore_eos=True)) for n in range(3)]
    firsts = [next(stream) for stream in streams]
    for number, stream in enumerate(streams):
        chunks = [firsts[number], *stream]
        prompt = many.tokenize(prompt_of(number))
        tokens = prompt + tokens_of(chunks)
        rows = [row for block in many.score(tokens, len(prompt) - 1) for row in block]
        told = [entry.logprob for chunk in chunks for entry in chunk.logprobs]

        assert told == pytest.approx([rows[place][token] for place, token in enumerate(tokens_of(chunks))], abs=0.2)


def test_a_short_prompt_does_not_wait_for_a_long_one_and_an_answer_goes_on(load):
    session = load(context_length=4096, batch_size=64)
    scheduler = session._scheduler
    answering = session.generate(request(prompt_of(1), max_tokens=100, ignore_eos=True))
    next(answering)
    long = session.generate(request("word " * 1300, max_tokens=1))
    steps = {}
    began = threading.Event()

    def read_long():
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

    assert steps["short"] - asked <= 6 < 15 <= steps["long"] - asked
    (job,) = [job for job in session._lane.jobs if job.chunks]
    assert len(job.chunks) >= 15  # one a step, beside the prompts


def test_all_are_answered_though_there_is_room_for_few(load):
    session = load(context_length=256)
    wanted = [answer(session, prompt_of(number, words=60), max_tokens=3, exact=True) for number in range(4)]
    found = together(4, lambda number: answer(session, prompt_of(number, words=60), max_tokens=40))

    assert [len(tokens) for tokens in found] == [40] * 4
    assert [tokens[:3] for tokens in found] == [tokens[:3] for tokens in wanted]
    lane = session._lane
    assert sum(len(sequence.tokens) for sequence in lane._idle) <= 256 and len(lane._idle) == 8


def test_the_beginning_that_all_have_is_computed_once(load):
    session = load(context_length=2048)
    prompts = [f"{prompt_of(1, words=240)} {number}" for number in range(6)]
    found = together(6, lambda number: list(session.generate(request(prompts[number], max_tokens=8))))

    common = len(session.tokenize(prompt_of(1, words=240)))
    cached = sorted(chunks[-1].usage.cached_tokens for chunks in found)
    assert cached[0] == 0 and all(count >= common - 2 for count in cached[1:])
    wanted = [answer(session, prompt, max_tokens=8, exact=True, ignore_eos=False) for prompt in prompts]
    assert [tokens_of(chunks)[:3] for chunks in found] == [tokens[:3] for tokens in wanted]


def test_layers_with_a_window_are_computed_together(load, tmp_path):
    session = load(make_gpt_oss(tmp_path / "model"))
    prompts = [prompt_of(number, words=words) for number, words in enumerate((3, 240, 30))]  # the window is 128
    wanted = [answer(session, prompt, exact=True, max_tokens=40) for prompt in prompts]
    streams = [session.generate(request(prompt, max_tokens=40, ignore_eos=True)) for prompt in prompts]
    firsts = [next(stream) for stream in streams]

    assert len(session._lane._group.jobs) == 3
    assert [tokens_of([firsts[number], *stream]) for number, stream in enumerate(streams)] == wanted


def test_what_cannot_be_computed_together_takes_turns(load):
    session = load(kv_type="8bit")
    assert session._lane._group is None  # mlx-lm merges no quantized caches
    wanted = [answer(session, prompt_of(number)) for number in range(4)]

    assert together(4, lambda number: answer(session, prompt_of(number))) == wanted


def test_ctrl_c_in_one_thread_changes_no_other_answer(load):
    """It comes again and again, in the midst of steps that the main thread computes for all."""
    session = load()
    wanted = [answer(session, prompt_of(number), max_tokens=60, exact=True) for number in range(3)]
    found = {}

    def run(number):
        found[number] = answer(session, prompt_of(number), max_tokens=60)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(3)]
    previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
    interrupted = 0
    try:
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            stream = session.generate(request(prompt_of(9), max_tokens=500, ignore_eos=True))
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.05)
                for _ in stream:
                    pass
            except KeyboardInterrupt:
                interrupted += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)

    assert interrupted > 0
    assert [found[number][:3] for number in range(3)] == [tokens[:3] for tokens in wanted]
    assert all(len(found[number]) == 60 for number in range(3))
    assert running(session) == 0 or len(answer(session, prompt_of(1))) == 24


def test_closing_a_session_gives_its_memory_back(load):
    from pajamas_mlx import engine

    mx = engine.engine().mx
    before = mx.get_active_memory()
    session = load()
    streams = [session.generate(request(prompt_of(number), max_tokens=9)) for number in range(3)]
    for stream in streams:
        next(stream)
    assert mx.get_active_memory() > before + 8_000_000
    session.close()

    assert mx.get_active_memory() < before + 1_000_000
