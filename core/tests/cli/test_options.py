"""Options as they are given, and `/set`, without a model."""

from __future__ import annotations

import pytest

from pajamas.cli import chat_settings, generation_options
from pajamas.cli.generation_options import given, read_json
from pajamas.errors import UsageError


def test_zero_is_a_value():
    options = {"temperature": 0.0, "seed": 0, "logprobs": 0, "raw": False, "stop": (), "top_k": None}

    assert given(options) == {"temperature": 0.0, "seed": 0, "logprobs": 0}


@pytest.mark.parametrize(
    "options", [{"temperature": float("nan")}, {"temperature": float("inf")}, {"top_p": 1.1}, {"stop": ("",)}]
)
def test_senseless_values_are_refused_before_a_model_is_loaded(options):
    with pytest.raises(UsageError):
        generation_options.check(options)


def test_json_is_an_argument_or_a_file(tmp_path):
    file = tmp_path / "list.json"
    file.write_text('[{"a": 1}]')

    assert read_json('[{"a": 1}]', "--x") == read_json(str(file), "--x") == read_json(f"@{file}", "--x")


@pytest.mark.parametrize("text", ["{", "no-such-file", "/", "[" * 100_000])
def test_what_is_not_json_is_refused(text):
    with pytest.raises(UsageError, match="--x"):
        read_json(text, "--x")


def test_a_file_that_is_not_utf8_is_refused(tmp_path):
    file = tmp_path / "x"
    file.write_bytes(b"\xff")

    with pytest.raises(UsageError, match="byte 0 is 0xff"):
        read_json(str(file), "--x")


@pytest.mark.parametrize(
    ("argument", "options"),
    [
        ("temperature 0.2", {"seed": 1, "temperature": 0.2}),
        ("--top-k 3", {"seed": 1, "top_k": 3}),
        ("top_k 3", {"seed": 1, "top_k": 3}),
        ("seed", {}),
        ("mode thinking", {"seed": 1, "mode": "thinking"}),
        ("ignore-eos true", {"seed": 1, "ignore_eos": True}),
        ("stop END", {"seed": 1, "stop": "END"}),
        ("stop 4", {"seed": 1, "stop": "4"}),
        ('stop ["a", "b"]', {"seed": 1, "stop": ("a", "b")}),
        ("logit-bias 4=-inf,5=1", {"seed": 1, "logit_bias": {4: float("-inf"), 5: 1.0}}),
    ],
)
def test_set(argument, options):
    before = {"seed": 1}

    assert chat_settings.changed(before, argument) == options
    assert before == {"seed": 1}


@pytest.mark.parametrize("argument", ["messages []", "prompt x", "tokens 1", "logit-bias x", "sed 1"])
def test_set_refuses_what_it_does_not_know(argument):
    with pytest.raises(UsageError):
        chat_settings.changed({}, argument)


def test_what_is_set_is_described_as_it_is_written():
    options = {"stop": ("a",), "logit_bias": {4: float("-inf")}, "mode": "thinking", "ignore_eos": True}

    assert chat_settings.describe(options) == 'stop ["a"]\nlogit-bias 4=-inf\nmode thinking\nignore-eos true'
    assert "own defaults" in chat_settings.describe({})
