"""Thinking or not: whether a template lets one choose, how it is told, and how each mode is sampled."""

from __future__ import annotations

import enum
import functools
from typing import Any

from attrs import evolve, fields

from pajamas.chat.formats import MISTRAL_THINK_TAGS, THINK_TAGS, is_harmony
from pajamas.chat.sandbox import undeclared_variables
from pajamas.chat.template import compile_template, render
from pajamas.errors import TemplateError, UnsupportedFeature
from pajamas.types import Mode, Sampling

_VARIABLES = ("enable_thinking", "thinking")
"""What templates call the switch: Qwen3, GLM and SmolLM3 the first, DeepSeek V3.1 and Granite the second."""


class Thinking(enum.Enum):
    """What a template says about its model's reasoning."""

    NEVER = "never"
    SWITCHED = "switched"
    """A variable of the template turns it on and off."""
    MODEL = "model"
    """The template knows of reasoning, and leaves it to the model."""
    ALWAYS = "always"


@functools.lru_cache(maxsize=32)
def switch(template: str) -> str | None:
    """The template variable that turns reasoning on and off; None where there is none.

    Raises:
        TemplateError: the template is broken.
    """
    compile_template(template)  # says what is wrong with a broken one
    declared = undeclared_variables(template)
    return next((name for name in _VARIABLES if name in declared), None)


@functools.lru_cache(maxsize=32)
def thinking(template: str) -> Thinking:
    """Whether a model with this template reasons before it answers.

    Raises:
        TemplateError: the template is broken.
    """
    if switch(template) is not None:
        return Thinking.SWITCHED
    if is_harmony(template):
        return Thinking.ALWAYS
    tags = [tag for tag in (THINK_TAGS[0], THINK_TAGS[1], MISTRAL_THINK_TAGS[0]) if tag in template]
    if not tags:
        return Thinking.NEVER
    try:
        prompt = render(template, [{"role": "user", "content": "Hello"}])
    except TemplateError:
        return Thinking.MODEL
    return Thinking.ALWAYS if prompt.rstrip().endswith((THINK_TAGS[0], MISTRAL_THINK_TAGS[0])) else Thinking.MODEL


def mode_variables(template: str, mode: Mode | None) -> dict[str, Any]:
    """The template variables that ask for a mode; none for None, which leaves it to the template.

    Raises:
        UnsupportedFeature: the model cannot think, or cannot be kept from it.
        TemplateError: the template is broken.
    """
    if mode is None:
        return {}
    name = switch(template)
    if name is not None:
        return {name: mode == "thinking"}
    kind = thinking(template)
    if mode == "thinking" and kind is Thinking.NEVER:
        raise UnsupportedFeature(
            "this model has no thinking mode",
            "its chat template knows nothing of reasoning",
            "leave --mode out, or choose a model that thinks, such as qwen3-1.7b",
        )
    if mode == "non-thinking" and kind is Thinking.ALWAYS:
        how = "; its template variable reasoning_effort takes low" if is_harmony(template) else ""
        raise UnsupportedFeature(
            "this model always thinks",
            "its chat template has no switch for reasoning" + how,
            "leave --mode out, or choose a model whose thinking can be turned off, such as qwen3-1.7b",
        )
    return {}


def resolved_mode(template: str | None, mode: Mode | None) -> Mode | None:
    """The mode that an answer will be in: the one asked for, else what the template does by itself; None if unknown."""
    if mode is not None or template is None:
        return mode
    match thinking(template):
        case Thinking.ALWAYS:
            return "thinking"
        case Thinking.NEVER:
            return "non-thinking"
        case Thinking.MODEL:
            return None
        case Thinking.SWITCHED:
            return _switched_default(template)


@functools.lru_cache(maxsize=32)
def _switched_default(template: str) -> Mode | None:
    """The mode of a prompt that leaves the switch alone: the one whose prompt is the same."""
    messages = [{"role": "user", "content": "Hello"}]
    try:
        on = render(template, messages, **mode_variables(template, "thinking"))
        return "thinking" if render(template, messages) == on else "non-thinking"
    except TemplateError:
        return None


QWEN3_SAMPLING: dict[Mode, Sampling] = {
    "thinking": Sampling(temperature=0.6, top_p=0.95, top_k=20, min_p=0.0),
    "non-thinking": Sampling(temperature=0.7, top_p=0.8, top_k=20, min_p=0.0),
}
"""Best practices, section "Sampling Parameters", of the model card of Qwen/Qwen3-8B (and of every other Qwen3)."""


def default_sampling(requested: Sampling, mode: Mode | None, family: str | None, recommended: Sampling) -> Sampling:
    """Fill the options that a request leaves open, each from the first that states it.

    The model's own recommendation (generation_config) is for the mode it is in by default. So in thinking mode it goes
    before Qwen3's table, and in non-thinking mode after it.

    Args:
        mode: As `resolved_mode` gives it.
        family: `Architecture.family`.
        recommended: `Session.default_sampling`.
    """
    table = Sampling()
    if family is not None and family.lower().startswith("qwen3") and mode is not None:
        table = QWEN3_SAMPLING[mode]
    sources = (requested, table, recommended) if mode == "non-thinking" else (requested, recommended, table)
    chosen: dict[str, Any] = {
        field.name: next((value for source in sources if (value := getattr(source, field.name)) is not None), None)
        for field in fields(Sampling)
        if field.name != "logit_bias"
    }
    return evolve(requested, **chosen)
