"""The prompts that a model without a calibration text answers.

`prompts.txt`, with an empty line between two prompts: 128 of our own, in sixteen languages: everyday writing,
knowledge, code, arithmetic and reasoning. Mixed, so that the first few already hold some of each.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Sequence

from pajamas.chat import mode, template
from pajamas.errors import TemplateError
from pajamas.types import Mode
from pajamas_gguf.session.facts import Facts

_MODES: tuple[Mode, Mode] = ("non-thinking", "thinking")


def read_prompts() -> list[str]:
    text = (importlib.resources.files("pajamas_gguf.imatrix") / "prompts.txt").read_text(encoding="utf-8")
    return [block.strip("\n") for block in text.split("\n\n")]


def render(prompts: Sequence[str], facts: Facts, number: int) -> str:
    """Prompt `number` as the model's own chat template has it; one beyond the last begins the list anew.

    Where the template has a switch for reasoning, every other answer thinks, and in the next round the others. A base
    model, without a template, goes on from the plain prompt.

    Raises:
        TemplateError: the template does not take a plain question.
    """
    again, place = divmod(number, len(prompts))
    source = facts.chat_template
    if source is None:
        return prompts[place]
    try:
        switched = mode.thinking(source) is mode.Thinking.SWITCHED
        variables = mode.mode_variables(source, _MODES[(place + again) % 2]) if switched else {}
        messages = ({"role": "user", "content": prompts[place]},)
        return template.render(source, messages, special_tokens=facts.special_tokens, **variables)
    except TemplateError as error:
        raise TemplateError(error.what, error.why, "Give a text to calibrate with: --calibration-text FILE.") from error
