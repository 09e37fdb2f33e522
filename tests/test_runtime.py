"""`pajamas.Runtime` on the bundled model, as a user of the library holds it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

import pajamas
from pajamas import Chunk, EngineCrashed, EngineError, ModelNotFound, NotEnoughMemory, UnsupportedFeature, UsageError
from pajamas.modelfiles import LocalFiles
from pajamas.source import Source

MODEL = Path(__file__).parents[1] / "plugins/tiny/src/pajamas_tiny/model"
QUESTION = {"prompt": "What is 2+2?", "temperature": 0, "max_tokens": 60, "mode": "non-thinking"}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    from pajamas_gguf.convert.converter import convert

    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    convert(LocalFiles(MODEL), Source(text="tiny", kind="folder", path=MODEL), path, name="tiny")
    return path


@pytest.fixture(scope="module")
def model(path):
    with pajamas.Runtime(path, context_length=512, threads=1) as model:
        yield model


def test_generate(model):
    answer = model.generate(**QUESTION)

    assert isinstance(answer, pajamas.GenerateResult)
    assert "4" in answer.text
    assert answer.reasoning == ""
    assert answer.finish_reason == "stop"
    assert answer.usage.completion_tokens == len(answer.token_ids) > 0


def test_a_context_beyond_the_model_s_is_warned_of(path, caplog):
    for context in (4096, 5000):
        pajamas.Runtime(path, context_length=context, threads=1).close()

    assert ["5,000 tokens is longer than" in record.message for record in caplog.records] == [True]


def test_a_model_that_does_not_fit_the_memory_is_not_loaded(path, monkeypatch):
    monkeypatch.setattr("pajamas.operations.fitting.available_memory", lambda: 16 << 20)

    pajamas.Runtime(path, context_length=512).close()
    with pytest.raises(NotEnoughMemory, match=r"4,096 tokens of context 8\.39 MB"):
        pajamas.Runtime(path, context_length=4096)


def test_the_answer_is_the_join_of_the_stream(model):
    chunks = list(model.stream(**QUESTION))

    assert len(chunks) > 1
    assert all(isinstance(chunk, Chunk) for chunk in chunks)
    assert "".join(chunk.text for chunk in chunks) == model.generate(**QUESTION).text


def test_reasoning_is_apart_from_the_answer(model):
    answer = model.generate("What is 2+2?", mode="thinking", temperature=0, max_tokens=200)

    assert answer.reasoning
    assert "<think>" not in answer.text + answer.reasoning
    assert "</think>" not in answer.text + answer.reasoning


def test_a_stop_string_ends_the_answer_and_not_the_reasoning(model):
    asked = QUESTION | {"mode": "thinking", "max_tokens": 400}
    whole, cut = model.generate(**asked), model.generate(**asked, stop=["compute", " = 4"])

    assert "compute" in whole.reasoning and whole.text.strip().startswith("2 + 2 = 4")
    assert (cut.reasoning, cut.text.strip(), cut.finish_reason) == (whole.reasoning, "2 + 2", "stop")
    assert cut.usage.prompt_tokens == whole.usage.prompt_tokens
    assert len(cut.token_ids) == cut.usage.completion_tokens < len(whole.token_ids)
    assert model.generate(**QUESTION).text == "2 + 2 = 4."


def test_messages_instead_of_a_prompt(model):
    messages = [{"role": "user", "content": QUESTION["prompt"]}]
    options = {name: value for name, value in QUESTION.items() if name != "prompt"}

    assert model.generate(messages=messages, **options).text == model.generate(**QUESTION).text


def test_log_probabilities(model):
    answer = model.generate(**QUESTION, logprobs=2)

    assert [entry.token_id for entry in answer.logprobs] == list(answer.token_ids)
    assert all(len(entry.top) == 2 for entry in answer.logprobs)


def test_tokens_and_back(model):
    assert model.detokenize(model.tokenize("What is 2+2?")) == "What is 2+2?"


def test_a_stream_that_is_left_frees_the_model(model):
    stream = model.stream("Tell me a story.", temperature=0)
    next(stream)
    stream.close()

    assert model.generate(**QUESTION).text


def test_check_computes_nothing_and_finds_what_is_wrong(model):
    model.check(**QUESTION)

    with pytest.raises(UsageError, match="temperature"):
        model.check("x", temperature=-1)
    with pytest.raises(UsageError, match="one of prompt"):
        model.check()
    assert model.generate(**QUESTION).text  # no stream was left open


def test_it_says_why_this_backend(model, path):
    assert any("gguf" in reason for reason in model.reasons)
    assert model.artifact.path == path


def test_an_unknown_option_is_refused_by_name(model):
    with pytest.raises(UsageError, match="temperature"):
        model.generate("x", temprature=0.5)


def test_an_unknown_load_option_is_refused_before_anything_is_looked_for():
    with pytest.raises(UsageError, match="context_length"):
        pajamas.Runtime("no/such/model", context_lenght=5)


def test_a_model_that_is_not_there():
    with pytest.raises(ModelNotFound):
        pajamas.Runtime("./no/such/model.gguf")


def test_a_mode_that_the_request_cannot_have(model):
    with pytest.raises(UnsupportedFeature):
        model.stream("x", raw=True, mode="thinking")


def test_closed(path):
    model = pajamas.Runtime(str(path), context_length=512, threads=1)
    model.close()
    model.close()

    with pytest.raises(EngineError, match="closed"):
        model.generate(**QUESTION)


def test_isolated(path, model):
    with pajamas.Runtime(path, isolated=True, context_length=512, threads=1) as isolated:
        assert isolated.generate(**QUESTION).text == model.generate(**QUESTION).text
        stream = isolated.stream("Tell me a story.", temperature=0, ignore_eos=True)
        next(stream)

        os.kill(isolated.session.pid, signal.SIGKILL)

        with pytest.raises(EngineCrashed, match="SIGKILL"):
            list(stream)
    assert model.generate(**QUESTION).text  # this process is as it was


def test_run_load_is_the_same(path):
    with pajamas.run("load", path=path, context_length=512, threads=1) as model:
        assert isinstance(model, pajamas.Runtime)
