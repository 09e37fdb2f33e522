"""What a chat request says to the model's template besides messages: the mode, and variables that it must know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pajamas.chat.mode import mode_variables, switch
from pajamas.chat.sandbox import undeclared_variables
from pajamas.chat.template import check_variables
from pajamas.errors import UnsupportedFeature, UsageError
from pajamas.types import Mode
from pajamas_serve.errors import BadParameter

if TYPE_CHECKING:
    from pajamas.worker.protocol import Facts

_KWARGS = "chat_template_kwargs"
_ENABLE = ("enable_thinking", "thinking")


def variables(kwargs: Mapping[str, Any] | None, effort: str | None, facts: Facts) -> tuple[Mode | None, dict[str, Any]]:
    """The mode, and the variables besides it.

    Raises:
        UnsupportedFeature: there is no template.
        BadParameter: the template does not know a variable, so that it would be ignored.
    """
    left = dict(kwargs or {})
    template = facts.chat_template
    if template is None:
        raise UnsupportedFeature(
            "The model has no chat template.", "It is a base model: it continues text.", "Use /v1/completions."
        )
    known = undeclared_variables(template)
    mode: Mode | None = None
    for name in _ENABLE:
        if name in left and name not in known - {switch(template)}:
            value = left.pop(name)
            if not isinstance(value, bool):
                raise BadParameter(f"{_KWARGS}.{name}", f"{name!r} is true or false.")
            mode = "thinking" if value else "non-thinking"
    if effort is not None:
        mode = _effort(effort, known, mode, left)
    try:
        check_variables(left)
    except UsageError as error:
        raise BadParameter(_KWARGS, error.what, error.why, error.fix) from None
    try:
        mode_variables(template, mode)
    except UnsupportedFeature as error:
        name = "reasoning_effort" if effort == "none" else _KWARGS
        raise BadParameter(name, error.what, error.why, code="unsupported_parameter") from None
    for name in left:
        if name not in known:
            raise BadParameter(
                f"{_KWARGS}.{name}", f"The model's chat template does not know {name!r}.",
                f"It knows: {', '.join(sorted(known)) or 'none'}.", code="unknown_parameter",
            )  # fmt: skip
    return mode, left


def _effort(effort: str, known: frozenset[str] | set[str], mode: Mode | None, left: dict[str, Any]) -> Mode | None:
    if effort == "none":
        if mode == "thinking":
            raise BadParameter("reasoning_effort", "'reasoning_effort' and 'enable_thinking' contradict each other.")
        return "non-thinking"
    if "reasoning_effort" not in known:
        raise BadParameter(
            "reasoning_effort", "The model's chat template does not know 'reasoning_effort'.",
            "Only \"none\" can be asked of it.", code="unsupported_parameter",
        )  # fmt: skip
    left["reasoning_effort"] = effort
    return mode
