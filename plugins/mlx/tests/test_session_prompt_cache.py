"""A prompt's keys and values in a file: mlx-lm's own, checked before it is believed."""

from __future__ import annotations

import json

import pytest

from asked import STORY, request, tokens_of
from pajamas.errors import ContextOverflow, EngineError, ModelFileError, UsageError


@pytest.fixture
def saved(session, tmp_path):
    list(session.generate(request(max_tokens=3)))
    session.save_prompt_cache(tmp_path / "cache")
    return tmp_path / "cache"


def header(data):
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def test_another_session_goes_on_from_it(session, load, saved):
    expected = tokens_of(session.generate(request()))
    other = load()

    count = other.load_prompt_cache(saved)
    chunks = list(other.generate(request()))

    assert count == len(session.tokenize(STORY)) + 2  # the last token of an answer is not computed
    assert chunks[-1].usage.cached_tokens == len(session.tokenize(STORY)) - 1
    assert tokens_of(chunks) == expected
    assert [path.name for path in saved.parent.iterdir()] == ["cache"]


def test_mlx_lm_reads_it(saved):
    from mlx_lm.models.cache import load_prompt_cache

    named = saved.rename(saved.with_suffix(".safetensors"))
    cache, metadata = load_prompt_cache(str(named), return_metadata=True)

    assert len(cache) == 4
    assert cache[0].offset == len(json.loads(metadata["pajamas_tokens"]))


def test_a_damaged_file_is_refused(session, saved, tmp_path):
    data = saved.read_bytes()
    text, tensors = header(data)
    spoiled = {"cut": data[: len(data) // 2], "empty": b"", "noise": b"\xff" * 1000, "text": b"a prompt"}
    spoiled["one bit"] = data[:-100] + bytes([data[-100] ^ 1]) + data[-99:]
    text["__metadata__"]["1.0"] = "ArraysCache"
    other = json.dumps(text).encode()
    spoiled["another kind"] = len(other).to_bytes(8, "little") + other + tensors
    del text["__metadata__"]
    bare = json.dumps(text).encode()
    spoiled["not ours"] = len(bare).to_bytes(8, "little") + bare + tensors
    for what, content in spoiled.items():
        path = tmp_path / what
        path.write_bytes(content)
        with pytest.raises(ModelFileError, match=r"is (not a sound|no MLX) prompt cache"):
            session.load_prompt_cache(path)
    with pytest.raises(ModelFileError, match="no such file"):
        session.load_prompt_cache(tmp_path / "missing")

    assert tokens_of(session.generate(request(max_tokens=3)))  # and the session goes on


def test_a_file_of_llama_cpp_is_said_to_be_another_engines(session, tmp_path):
    path = tmp_path / "cache.bin"
    path.write_bytes(b"GGSN" + bytes(range(1, 200)))  # a llama.cpp session file begins so

    with pytest.raises(ModelFileError) as caught:
        session.load_prompt_cache(path)

    assert caught.value.what == f"{path} is no MLX prompt cache." and "Another engine" in caught.value.why


def test_it_belongs_to_a_model_and_fits_a_context(load, saved):
    with pytest.raises(UsageError, match="another model"):
        load(compute_dtype="float32").load_prompt_cache(saved)
    with pytest.raises(ContextOverflow, match="context holds 10"):
        load(context_length=10).load_prompt_cache(saved)


def test_there_must_be_something_to_save_and_a_place_for_it(session, load, tmp_path):
    with pytest.raises(UsageError, match="no prompt"):
        load().save_prompt_cache(tmp_path / "cache")
    list(session.generate(request(max_tokens=1)))
    with pytest.raises(EngineError, match="cannot be written"):
        session.save_prompt_cache(tmp_path / "no such folder" / "cache")
    assert not any(tmp_path.iterdir())
