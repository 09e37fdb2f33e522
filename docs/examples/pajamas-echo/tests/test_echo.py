"""What is this backend's own, and no rule of the contract."""

import math

import pytest

import pajamas
from pajamas.errors import UnsupportedFeature
from pajamas.types import GenerateRequest, Sampling
from pajamas_echo.session import END, SEPARATOR, EchoSession, logits


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("echo") / "tiny.echo"
    pajamas.run("convert", model="tiny", output=path, formats="echo")
    with pajamas.Runtime(path) as model:
        yield model


def likely(tokens):
    scores = logits(tokens)
    return max(range(len(scores)), key=scores.__getitem__)


def test_the_text_follows_its_separator():
    text = list(b"Hi")

    assert likely(text) == SEPARATOR
    assert [likely([*text, SEPARATOR, *text[:place]]) for place in range(3)] == [*text, END]


@pytest.mark.parametrize("text", ["Hello", "Grüße, 世界 🦙", "two\nlines"])
def test_it_says_what_it_was_told(model, text):
    answer = model.generate(text)

    assert (answer.text, answer.finish_reason) == (text, "stop")


def test_it_says_the_last_message(model):
    messages = [{"role": "user", "content": "one"}, {"role": "user", "content": "two"}]

    assert model.generate(messages=messages).text == "two"


def test_sampling_options_steer_it(model):
    assert model.generate("abc", logit_bias={ord("b"): -math.inf}, max_tokens=2).text != "ab"
    hot = model.generate("abc" * 9, temperature=5.0, seed=1).text
    assert hot != "abc" * 9
    assert model.generate("abc" * 9, temperature=5.0, seed=1).text == hot
    assert model.generate("abc" * 9, temperature=5.0, top_k=1).text == "abc" * 9
    assert model.generate("abc" * 9, temperature=1.0, top_p=0.5).text == "abc" * 9
    assert model.generate("abc", stop="c").text == "ab"


def test_a_prompt_without_separator_is_continued_by_it():
    answer = list(EchoSession(10).generate(GenerateRequest(token_ids=(104, 105), sampling=Sampling(temperature=0))))

    assert [token for chunk in answer for token in chunk.token_ids] == [SEPARATOR, 104, 105]


def test_options_that_mean_nothing_are_refused_by_name(tmp_path):
    with pytest.raises(UnsupportedFeature, match="echo cannot honour --outtype"):
        pajamas.run("convert", model="tiny", output=tmp_path / "x.echo", formats="echo", outtype="f16")
    assert not any(tmp_path.iterdir())
