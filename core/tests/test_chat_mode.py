"""Thinking and its switch, read off templates; sampling that follows the mode."""

from __future__ import annotations

import pytest

from chat_templates import template_text
from pajamas.chat.mode import Thinking, default_sampling, mode_variables, resolved_mode, thinking
from pajamas.errors import TemplateError, UnsupportedFeature
from pajamas.types import Sampling

DEFAULT_OFF = "{% if thinking %}<think>{% endif %}"
DEFAULT_CLOSED = "{% if not enable_thinking %}<think></think>{% endif %}"
ALWAYS = "{{ messages[0].content }}<think>\n"
HISTORY = "{{ messages[0].content.split('</think>')[-1] }}"


@pytest.mark.parametrize(
    ("name", "kind", "mode"),
    [
        ("tiny", Thinking.SWITCHED, "thinking"),
        ("Qwen-Qwen3-0.6B.jinja", Thinking.SWITCHED, "thinking"),
        ("Qwen3-Coder.jinja", Thinking.NEVER, "non-thinking"),
        ("google-gemma-2-2b-it.jinja", Thinking.NEVER, "non-thinking"),
        ("meta-llama-Llama-3.1-8B-Instruct.jinja", Thinking.NEVER, "non-thinking"),
        ("microsoft-Phi-3.5-mini-instruct.jinja", Thinking.NEVER, "non-thinking"),
        ("mistralai-Mistral-Nemo-Instruct-2407.jinja", Thinking.NEVER, "non-thinking"),
        ("openai-gpt-oss-120b.jinja", Thinking.ALWAYS, "thinking"),
    ],
)
def test_real_templates(name, kind, mode):
    template = template_text(name)

    assert kind is thinking(template)
    assert mode == resolved_mode(template, None)


@pytest.mark.parametrize(
    ("template", "kind", "mode"),
    [
        (DEFAULT_OFF, Thinking.SWITCHED, "non-thinking"),
        (DEFAULT_CLOSED, Thinking.SWITCHED, "non-thinking"),
        ("{% if enable_thinking is false %}<think></think>{% endif %}", Thinking.SWITCHED, "thinking"),
        (ALWAYS, Thinking.ALWAYS, "thinking"),
        (HISTORY, Thinking.MODEL, None),
        ("{{ messages[0].thinking }}", Thinking.NEVER, "non-thinking"),
        ("[THINK]{{ raise_exception('') }}", Thinking.MODEL, None),
    ],
)
def test_kinds_of_templates(template, kind, mode):
    assert kind is thinking(template)
    assert mode == resolved_mode(template, None)
    assert resolved_mode(template, "thinking") == "thinking"


def test_the_switch_is_set_by_its_own_name():
    assert mode_variables(template_text("tiny"), "thinking") == {"enable_thinking": True}
    assert mode_variables(template_text("tiny"), "non-thinking") == {"enable_thinking": False}
    assert mode_variables(DEFAULT_OFF, "thinking") == {"thinking": True}
    assert mode_variables(template_text("tiny"), None) == {}
    assert mode_variables(HISTORY, "thinking") == {}
    assert mode_variables("{{ messages }}", "non-thinking") == {}


def test_a_mode_that_cannot_be_is_refused():
    with pytest.raises(UnsupportedFeature, match="no thinking mode"):
        mode_variables("{{ messages }}", "thinking")
    with pytest.raises(UnsupportedFeature, match="always thinks"):
        mode_variables(ALWAYS, "non-thinking")
    with pytest.raises(UnsupportedFeature, match="reasoning_effort"):
        mode_variables("<|channel|><|message|>", "non-thinking")


def test_a_broken_template_is_an_error_here_too():
    with pytest.raises(TemplateError, match="broken"):
        thinking("{% for %}")


NOTHING = Sampling()
CONFIG = Sampling(temperature=0.5, top_k=10, repetition_penalty=1.05)


@pytest.mark.parametrize(
    ("mode", "family", "recommended", "expected"),
    [
        ("thinking", "Qwen3", NOTHING, Sampling(temperature=0.6, top_p=0.95, top_k=20, min_p=0.0)),
        ("non-thinking", "Qwen3-MoE", NOTHING, Sampling(temperature=0.7, top_p=0.8, top_k=20, min_p=0.0)),
        # generation_config is for the mode that the model is in by default
        (
            "thinking",
            "Qwen3",
            CONFIG,
            Sampling(temperature=0.5, top_p=0.95, top_k=10, min_p=0.0, repetition_penalty=1.05),
        ),
        (
            "non-thinking",
            "qwen3",
            CONFIG,
            Sampling(temperature=0.7, top_p=0.8, top_k=20, min_p=0.0, repetition_penalty=1.05),
        ),
        (None, "Qwen3", CONFIG, CONFIG),
        ("thinking", "Llama", CONFIG, CONFIG),
        ("thinking", None, NOTHING, NOTHING),
    ],
)
def test_sampling_follows_the_mode(mode, family, recommended, expected):
    assert expected == default_sampling(NOTHING, mode, family, recommended)


def test_the_request_wins_and_keeps_the_rest():
    requested = Sampling(temperature=0.0, top_k=0, seed=3, logit_bias={5: 1.0})
    chosen = default_sampling(requested, "thinking", "Qwen3", CONFIG)

    assert (chosen.temperature, chosen.top_k, chosen.seed, chosen.logit_bias) == (0.0, 0, 3, {5: 1.0})
    assert (chosen.top_p, chosen.repetition_penalty) == (0.95, 1.05)
