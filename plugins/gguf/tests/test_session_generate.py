"""Answers of the bundled model: text, ends, limits, reuse of prompts, and leaving a stream early."""

from __future__ import annotations

import threading

import pytest

from pajamas.errors import ContextOverflow, EngineError, UnsupportedFeature, UsageError
from pajamas.types import Feature, GenerateRequest, Sampling

PROMPT = "<|im_start|>user\nWhat is 2+2?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
GREEDY = Sampling(temperature=0)


def ask(session, prompt=PROMPT, sampling=GREEDY, **fields):
    fields = {"max_tokens": 40, **fields}
    return list(session.generate(GenerateRequest(prompt=prompt, sampling=sampling, **fields)))


def text_of(chunks):
    return "".join(chunk.text for chunk in chunks)


def ids_of(chunks):
    return [token for chunk in chunks for token in chunk.token_ids]


def test_it_answers_and_ends_at_the_end_token(session):
    chunks = ask(session, cache_prompt=False)

    assert text_of(chunks) == "2 + 2 = 4."
    last = chunks[-1]
    assert last.finish_reason == "stop"
    assert [chunk.finish_reason for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert last.usage.prompt_tokens == len(session.tokenize(PROMPT))
    assert last.usage.completion_tokens == len(ids_of(chunks)) == 8
    assert last.usage.cached_tokens == 0
    assert 0 < last.usage.prompt_seconds <= last.usage.time_to_first_token
    assert last.usage.generation_seconds > 0


def test_token_ids_are_a_prompt_too(session):
    chunks = list(
        session.generate(GenerateRequest(token_ids=tuple(session.tokenize(PROMPT)), sampling=GREEDY, max_tokens=20))
    )

    assert text_of(chunks) == "2 + 2 = 4."


def test_the_joined_text_is_that_of_the_tokens(session):
    chunks = ask(session, ignore_eos=True, max_tokens=60)

    assert chunks[-1].finish_reason == "length"
    assert chunks[-1].usage.completion_tokens == 60
    assert text_of(chunks) == session.detokenize(ids_of(chunks))


def test_no_tokens_are_asked(session):
    chunks = ask(session, max_tokens=0)

    assert [chunk.text for chunk in chunks] == [""]
    assert chunks[0].finish_reason == "length"


def test_the_context_ends_the_answer(tiny_q4, load_session):
    session = load_session(tiny_q4, context_length=64)
    chunks = ask(session, ignore_eos=True, max_tokens=None)

    assert chunks[-1].finish_reason == "length"
    assert chunks[-1].usage.prompt_tokens + chunks[-1].usage.completion_tokens == 64


def test_a_prompt_longer_than_the_context_names_both_numbers(tiny_q4, load_session):
    session = load_session(tiny_q4, context_length=64)
    prompt = tuple([5] * 64)

    with pytest.raises(ContextOverflow) as error:
        session.generate(GenerateRequest(token_ids=prompt))

    assert "64 tokens" in error.value.what and "64" in error.value.why
    with pytest.raises(ContextOverflow):
        ask(session, prompt="word " * 5000)
    assert len(ids_of(list(session.generate(GenerateRequest(token_ids=prompt[:63], ignore_eos=True))))) == 1


def test_a_long_prompt_goes_in_batches(tiny_bf16, load_session):
    prompt = "One two three four five six seven. " * 120
    whole = load_session(tiny_bf16, batch_size=2048)
    pieces = load_session(tiny_bf16, batch_size=64)

    assert len(whole.tokenize(prompt)) > 900
    assert text_of(ask(whole, prompt, max_tokens=8)) == text_of(ask(pieces, prompt, max_tokens=8))


def test_an_equal_beginning_is_not_computed_again(tiny_q4, load_session):
    session = load_session(tiny_q4)
    first = ask(session)
    again = ask(session)
    longer = ask(session, PROMPT + text_of(first) + "<|im_end|>\n<|im_start|>user\nAnd 3+3?<|im_end|>\n")
    fresh = ask(session, cache_prompt=False)

    size = again[-1].usage.prompt_tokens
    assert again[-1].usage.cached_tokens == size - 1
    assert longer[-1].usage.cached_tokens >= size
    assert fresh[-1].usage.cached_tokens == 0
    assert text_of(first) == text_of(again) == text_of(fresh)


def test_a_seed_gives_the_same_answer_whatever_was_computed_before(tiny_q4, load_session):
    seeded = Sampling(temperature=1.5, seed=7)
    prompt = "The cat and the dog. " * 150 + PROMPT
    session, other = load_session(tiny_q4), load_session(tiny_q4)
    wanted = ids_of(ask(session, prompt, seeded, max_tokens=30))

    ask(session, "Something else. " + prompt, GREEDY)
    assert ids_of(ask(session, prompt, seeded, max_tokens=30)) == wanted
    reused = ask(session, prompt, seeded, max_tokens=30)
    assert reused[-1].usage.cached_tokens == 512  # whole chunks only, bit for bit the same
    assert ids_of(reused) == wanted
    assert ids_of(ask(other, prompt, seeded, max_tokens=30)) == wanted
    assert ids_of(ask(session, prompt, Sampling(temperature=1.5, seed=8), max_tokens=30)) != wanted


def test_without_a_seed_answers_differ(session):
    wild = Sampling(temperature=3.0)

    assert ids_of(ask(session, sampling=wild, max_tokens=20)) != ids_of(ask(session, sampling=wild, max_tokens=20))


def test_a_stop_string_ends_the_answer_and_is_no_part_of_it(session):
    assert text_of(ask(session, stop=("= 4",))) == "2 + 2 "
    assert ask(session, stop=("= 4",))[-1].finish_reason == "stop"
    assert text_of(ask(session, stop=("nowhere", "4.x"))) == "2 + 2 = 4."


def test_two_answers_in_one_thread_take_turns(session):
    one, two = (session.generate(GenerateRequest(prompt=PROMPT, sampling=GREEDY)) for _ in range(2))
    chunks = [(next(one), next(two)) for _ in range(4)]

    assert text_of([*(first for first, _ in chunks), *one]) == "2 + 2 = 4."
    assert text_of([*(second for _, second in chunks), *two]) == "2 + 2 = 4."


def test_a_forgotten_answer_frees_the_session(session):
    stream = session.generate(GenerateRequest(prompt=PROMPT, sampling=GREEDY))
    next(stream)
    del stream
    session.generate(GenerateRequest(prompt=PROMPT))  # never read: it takes nothing

    assert text_of(ask(session)) == "2 + 2 = 4."


def test_cancel_ends_the_answer_with_a_last_chunk(session):
    stream = session.generate(GenerateRequest(prompt=PROMPT, sampling=GREEDY, ignore_eos=True))
    next(stream)
    session.cancel()
    rest = list(stream)

    assert rest[-1].finish_reason == "cancelled"
    assert rest[-1].usage.completion_tokens == 1
    assert text_of(ask(session)) == "2 + 2 = 4."


def test_requests_that_make_no_sense_are_refused(session):
    for fields in (
        {"prompt": None},
        {"token_ids": (1,)},
        {"prompt": ""},
        {"max_tokens": -1},
        {"logprobs": -1},
        {"grammar": "root ::= [a]", "json_schema": {}},
    ):
        with pytest.raises(UsageError):
            session.generate(GenerateRequest(**{"prompt": PROMPT, **fields}))
    for token in (-1, 4096):
        with pytest.raises(UsageError, match="4,096"):
            session.generate(GenerateRequest(token_ids=(token,)))


def test_a_closed_session_says_so(tiny_q4, load_session):
    session = load_session(tiny_q4)
    stream = session.generate(GenerateRequest(prompt=PROMPT))
    session.close()
    session.close()

    for use in (lambda: next(stream), lambda: session.tokenize("a"), lambda: session.memory, lambda: ask(session)):
        with pytest.raises(EngineError, match="closed"):
            use()


def test_closing_ends_an_open_answer(tiny_q4, load_session):
    session = load_session(tiny_q4)
    stream = session.generate(GenerateRequest(prompt=PROMPT))
    next(stream)
    session.close()

    assert [chunk.finish_reason for chunk in stream] == ["cancelled"]
    assert list(stream) == []


def test_closing_waits_for_an_answer_of_another_thread(tiny_q4, load_session):
    session = load_session(tiny_q4)
    reasons = []
    started = threading.Event()

    def read():
        for chunk in session.generate(GenerateRequest(prompt=PROMPT, sampling=GREEDY, ignore_eos=True)):
            started.set()
            reasons.append(chunk.finish_reason)

    other = threading.Thread(target=read)
    other.start()
    assert started.wait(30)
    session.close()
    other.join(30)

    assert not other.is_alive()
    assert reasons[-1] == "cancelled" and len(reasons) < 4000


def test_a_forgotten_session_frees_its_memory(tiny_q4):
    import gc
    import weakref

    from pajamas.types import Artifact, LoadOptions
    from pajamas_gguf.session.load import load

    session = load(Artifact(path=tiny_q4, format="gguf"), LoadOptions(threads=2))
    ask(session)
    context, model = session._scheduler.lanes[0].context.close, session._model.close
    gone = weakref.ref(session)
    gc.disable()  # by reference counts alone
    try:
        del session
        assert gone() is None and not context.alive and not model.alive
    finally:
        gc.enable()


def test_facts_of_the_session(tiny_q4, load_session):
    session = load_session(tiny_q4)

    assert session.backend == "gguf"
    assert session.architecture.model_type == "qwen3"
    assert session.context_length == 4096
    assert "<|im_start|>" in session.chat_template
    assert session.special_tokens["eos_token"] == "<|im_end|>"
    assert {Feature.GRAMMAR, Feature.PARALLEL, Feature.EXACT} <= session.features
    memory = session.memory
    assert memory.weights >= 2_759_168  # what the tensors take in the file
    assert memory.kv_cache == 4096 * 4 * 2 * 128 * 2  # tokens, layers, keys and values, width, bytes
    assert memory.compute > 0


def test_special_tokens_in_text(session):
    (start, *_) = session.tokenize(PROMPT)

    assert session.detokenize([start]) == "<|im_start|>"
    assert len(session.tokenize("<|im_start|>", parse_special=False)) > 1
    text = "Grüße, 世界 🦙\x00!"
    assert session.detokenize(session.tokenize(text)) == text
    assert session.tokenize("") == []
    assert session.tokenize("\ud800") == session.tokenize("?")


def test_embedding_sessions_only_embed(tiny_q4, load_session):
    session = load_session(tiny_q4, embeddings=True)

    for use in (lambda: ask(session), lambda: session.score([1, 2])):
        with pytest.raises(UnsupportedFeature):
            use()
