"""Saving and restoring a prompt's keys and values, and files that are not what they should be."""

from __future__ import annotations

import random

import pytest

from pajamas.errors import ContextOverflow, EngineError, ModelFileError, UsageError
from pajamas.types import GenerateRequest, Sampling

PROMPT = "The children went to the river and found a small boat. " * 20


def ask(session):
    request = GenerateRequest(prompt=PROMPT, sampling=Sampling(temperature=0), max_tokens=10, ignore_eos=True)
    chunks = list(session.generate(request))
    return "".join(chunk.text for chunk in chunks), chunks[-1].usage


@pytest.fixture(scope="module")
def saved(tiny_q4, load_session, tmp_path_factory):
    """A cache file, and the answer that went with it."""
    session = load_session(tiny_q4)
    path = tmp_path_factory.mktemp("cache") / "prompt"
    text, _ = ask(session)
    session.save_prompt_cache(path)
    return path, text


def test_a_restored_prompt_is_not_computed_again(saved, tiny_q4, load_session):
    path, text = saved
    session = load_session(tiny_q4)
    count = session.load_prompt_cache(path)
    answer, usage = ask(session)

    assert count == usage.prompt_tokens + 9
    assert usage.cached_tokens == usage.prompt_tokens - 1
    assert answer == text


def test_nothing_is_left_beside_it(saved):
    assert [entry.name for entry in saved[0].parent.iterdir()] == [saved[0].name]


def test_a_cache_of_another_model_or_cache_type_is_refused(saved, tiny_q4, tiny_bf16, load_session):
    for session in (load_session(tiny_bf16), load_session(tiny_q4, kv_type="q8_0")):
        with pytest.raises(UsageError, match="not a cache of this model"):
            session.load_prompt_cache(saved[0])


def test_damaged_caches_are_errors_and_the_session_lives(saved, session, tmp_path):
    data = saved[0].read_bytes()
    rng = random.Random(1)
    flips = [rng.randrange(len(data)) for _ in range(60)] + list(range(len(data) - 30, len(data)))
    damaged = [data[:cut] for cut in (0, 5, 100, len(data) // 2, len(data) - 1)]
    damaged += [data + b"x", b"x" + data, bytes(1000)]
    damaged += [data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :] for place in flips]
    path = tmp_path / "damaged"
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises((ModelFileError, UsageError)):
            session.load_prompt_cache(path)

    assert session.load_prompt_cache(saved[0]) > 0
    with pytest.raises(ModelFileError):
        session.load_prompt_cache(tmp_path / "missing")


def test_it_must_fit_the_context(saved, tiny_q4, load_session):
    with pytest.raises(ContextOverflow):
        load_session(tiny_q4, context_length=64).load_prompt_cache(saved[0])


def test_what_cannot_be_saved(tiny_q4, load_session, tmp_path):
    session = load_session(tiny_q4)

    with pytest.raises(UsageError, match="no prompt"):
        session.save_prompt_cache(tmp_path / "cache")
    ask(session)
    with pytest.raises(EngineError):
        session.save_prompt_cache(tmp_path / "missing" / "cache")
    with pytest.raises(EngineError, match="is no file"):
        session.save_prompt_cache(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_prompt_that_was_not_to_be_kept_does_not_hide_the_one_before(tiny_q4, load_session, tmp_path):
    session = load_session(tiny_q4)
    ask(session)
    list(session.generate(GenerateRequest(prompt="Another", max_tokens=1, cache_prompt=False)))
    session.save_prompt_cache(tmp_path / "cache")

    assert (tmp_path / "cache").stat().st_size > 0
