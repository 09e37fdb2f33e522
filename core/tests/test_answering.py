"""From a model's name to an answer, through every door of core, with the echo backend."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest
from click.testing import CliRunner

import pajamas
from pajamas.cli.main import pajamas as program
from pajamas.errors import ContextOverflow, UnsupportedFeature


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    return (
        pajamas.run("convert", model="tiny", output=tmp_path_factory.mktemp("echo"), formats="echo").artifacts[0].path
    )


@pytest.fixture(scope="module", params=[False, True], ids=["here", "isolated"])
def model(artifact, request):
    with pajamas.Runtime(artifact, isolated=request.param, context_length=64) as model:
        yield model


def test_the_stream_is_the_answer_in_pieces(model):
    chunks = list(model.stream("Grüße"))

    assert [chunk.text for chunk in chunks if chunk.text] == list("Grüße")
    assert [chunk.finish_reason for chunk in chunks if chunk.finish_reason] == ["stop"]
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (8, 7)
    assert model.generate("Grüße").text == "Grüße"


def test_greedy_answers_follow_the_scores(model):
    answer = model.generate("abc", raw=True, logprobs=2)
    prompt = model.tokenize("abc")
    rows = np.concatenate(list(model.score([*prompt, *answer.token_ids], first=len(prompt) - 1)))

    assert rows.argmax(axis=1)[:-1].tolist() == list(answer.token_ids)
    np.testing.assert_allclose(np.logaddexp.reduce(rows, axis=1), 0, atol=1e-5)
    assert [entry.logprob for entry in answer.logprobs] == pytest.approx(rows.max(axis=1)[:-1].tolist(), abs=1e-5)
    assert [entry.top[0].token_id for entry in answer.logprobs] == list(answer.token_ids)


def test_a_prompt_that_does_not_fit_is_refused_and_the_next_one_answered(model):
    with pytest.raises(ContextOverflow, match="too many"):
        list(model.stream("x" * 64))

    cut = model.generate("x" * 40)
    assert (len(cut.text), cut.finish_reason) == (64 - 41, "length")


def test_an_early_end_frees_the_session(model):
    stream = model.stream("one")
    assert next(stream).text == "o"
    stream.close()

    assert model.generate("two").text == "two"


def test_threads_share_a_session_that_declares_it(model):
    words = ["one", "two", "three", "four"]
    said = {}

    def ask(word):
        said[word] = model.generate(word * 5, seed=1).text

    threads = [threading.Thread(target=ask, args=(word,)) for word in words]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert said == {word: word * 5 for word in words}


def test_what_the_backend_does_not_declare_is_refused(model, artifact):
    with pytest.raises(UnsupportedFeature, match="min-p"):
        model.generate("?", min_p=0.1)
    with pytest.raises(UnsupportedFeature, match="embeddings"):
        pajamas.run("embed", texts=["?"], model=artifact)
    with pytest.raises(UnsupportedFeature, match="thinking"):
        model.generate("?", mode="thinking")


def test_the_command_line_says_the_same(artifact):
    shown = CliRunner().invoke(program, ["generate", "--model", str(artifact), "--json", "--logprobs", "1", "Hi"])

    answer = json.loads(shown.stdout)
    assert (shown.exit_code, answer["text"], answer["finish_reason"]) == (0, "Hi", "stop")
    assert [entry["top"][0]["token"] for entry in answer["logprobs"]] == ["H", "i"]


def test_messages_and_a_system_prompt_go_through_the_template(artifact):
    arguments = ["generate", "--model", str(artifact), "--system", "Be short.", "Hi"]

    shown = CliRunner().invoke(program, arguments)

    assert shown.stdout == "Hi\n"
    assert "[3 prompt tokens, 2 tokens]" in shown.stderr  # and no rates: this backend measures none
