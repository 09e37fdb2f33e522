"""Renders a model's chat template: messages to the prompt, the same on every backend."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from jinja2.exceptions import SecurityError, TemplateSyntaxError

from pajamas.chat.budget import BudgetExceeded, budget, weight
from pajamas.chat.formats import is_harmony
from pajamas.chat.messages import normalise_messages, normalise_tools, plain_data
from pajamas.chat.roles import named_in, refuse_unread
from pajamas.chat.sandbox import Refused, environment
from pajamas.errors import TemplateError, UsageError

if TYPE_CHECKING:
    from jinja2 import Template

    from pajamas.types import Message

MAX_TEMPLATE = 128 << 10
"""Characters. The largest known template has some 20,000."""

_RESERVED = ("messages", "tools", "add_generation_prompt")
_RAW = "send the prompt without its template (--raw), or use a model with another template"


def render(
    template: str,
    messages: Iterable[Message],
    *,
    tools: Iterable[Mapping[str, Any]] = (),
    add_generation_prompt: bool = True,
    special_tokens: Mapping[str, str] | None = None,
    **variables: Any,
) -> str:
    """The prompt for these messages, byte for byte what transformers' `apply_chat_template` gives.

    Args:
        messages: In OpenAI's form; see `normalise_messages` for what is accepted.
        tools: In OpenAI's form.
        add_generation_prompt: End with the beginning of the assistant's answer.
        special_tokens: "bos_token", "eos_token" and so on to their texts.
        variables: Whatever else the template reads, such as `enable_thinking`; they win over `special_tokens`.

    Raises:
        TemplateError: the template is broken, refuses these messages, or does something that is not allowed.
        UsageError, UnsupportedFeature: the messages or tools are not what they should be, or the template would leave
            out a role or a key.
    """
    normal = normalise_messages(messages, parts=_wants_parts(template))
    compile_template(template)  # says what is wrong with a broken one
    refuse_unread(normal, named_in(template), lambda role: _prints(template, role))
    values = {
        "documents": None,
        **plain_data(special_tokens or {}),
        **plain_data(variables),
        "messages": _for_harmony(normal) if is_harmony(template) else normal,
        "tools": normalise_tools(tools) or None,
        "add_generation_prompt": add_generation_prompt,
    }
    prompt = _render(template, values)
    try:
        prompt.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            "the prompt holds half of a character (a lone surrogate)",
            f"it has no UTF-8 form, so no model can read it: {error.reason}",
            "remove it from the messages",
        ) from None
    return prompt


def check_variables(variables: Mapping[str, Any]) -> None:
    """Refuse template variables of a caller's that `render` sets itself.

    Raises:
        UsageError: one is reserved.
    """
    for name in (*_RESERVED, "special_tokens", "template"):
        if name in variables:
            raise UsageError(
                f"{name} cannot be given as a template variable",
                "it is set from the request itself",
                f"leave {name} out of the template variables",
            )


def _render(template: str, values: Mapping[str, Any]) -> str:
    with budget(weight(list(values.values()))):
        compiled = compile_template(template)
        try:
            return "".join(compiled.generate(**values))
        except Refused as error:
            raise TemplateError(
                "the model's chat template refuses these messages",
                str(error),
                "change the roles or the order of the messages",
            ) from None
        except BudgetExceeded as error:
            raise TemplateError("the model's chat template was stopped", str(error), _RAW) from error
        except SecurityError as error:
            raise TemplateError("the model's chat template does what is not allowed", str(error), _RAW) from error
        except Exception as error:  # a template is foreign code: it can raise anything
            why = f"{type(error).__name__}: {error}"
            raise TemplateError("the model's chat template fails on these messages", why, _RAW) from error


@functools.lru_cache(maxsize=32)
def compile_template(template: str) -> Template:
    """The template, ready to run.

    Raises:
        TemplateError: it is not one.
    """
    if len(template) > MAX_TEMPLATE:
        raise TemplateError("the model's chat template is too large", f"it has {len(template):,} characters", _RAW)
    try:
        return environment().from_string(template)
    except TemplateSyntaxError as error:
        why = f"line {error.lineno}: {error.message}"
        raise TemplateError("the model's chat template is broken", why, _RAW) from None
    except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError, TypeError) as error:
        why = f"it cannot be compiled ({type(error).__name__}: {error})"
        raise TemplateError("the model's chat template is broken", why, _RAW) from None


@functools.lru_cache(maxsize=32)
def _wants_parts(template: str) -> bool:
    """Whether the template prints content only where it is a list of parts: tried out, as llama.cpp does."""
    needle = "needle-in-a-prompt"

    def prints(content: object) -> bool:
        try:
            message = {"role": "user", "content": content}
            return needle in _render(template, {"messages": [message], "tools": None, "add_generation_prompt": True})
        except TemplateError as error:
            if isinstance(error.__cause__, SecurityError):  # it would only be tried, and stopped, once more
                raise
            return False

    return not prints(needle) and prints([{"type": "text", "text": needle}])


@functools.lru_cache(maxsize=256)
def _prints(template: str, role: str) -> bool:
    """Whether anything of a message of that role comes into the prompt, or the template refuses it by itself."""
    needle = "needle-in-a-prompt"
    user, other = ({"role": name, "content": text} for name, text in (("user", "Hello"), (role, needle)))
    for messages in ([other], [other, user], [user, other]):
        normal = normalise_messages(messages, parts=_wants_parts(template))
        try:
            if needle in _render(template, {"messages": normal, "tools": None, "add_generation_prompt": True}):
                return True
        except TemplateError:
            return True
    return False


def _for_harmony(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """gpt-oss's template takes content or reasoning beside a tool call, not both: what was said joins the reasoning."""
    for message in messages:
        if message.get("tool_calls") and message.get("content") and message.get("thinking"):
            message["thinking"] += "\n" + message["content"]
            message["content"] = ""
    return messages
