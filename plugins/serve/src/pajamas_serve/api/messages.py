"""The messages of a chat request: what is wrong with one is said by its place, "messages[1].content[0].type"."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pajamas.chat.messages import normalise_messages
from pajamas.chat.roles import named_in, refuse_unread
from pajamas.errors import PajamasError
from pajamas_serve.errors import BadParameter

_TEXTS = ("name", "tool_call_id", "reasoning_content", "reasoning", "thinking")


def messages(given: Sequence[Mapping[str, Any]], template: str) -> list[dict[str, Any]]:
    """As core takes them. "developer" is what OpenAI calls the system's role today; templates know it as "system".

    Raises:
        BadParameter: one is none, holds what is no text, or says something that the template would leave out.
    """
    made = []
    for number, message in enumerate(given):
        place = f"messages[{number}]"
        role = message.get("role")
        if not isinstance(role, str):
            raise _missing(f"{place}.role") if role is None else BadParameter(f"{place}.role", "A role is a text.")
        for name in _TEXTS:
            if not isinstance(message.get(name), str | None):
                raise BadParameter(f"{place}.{name}", f"{name!r} is a text.")
        _check_content(message.get("content"), role, f"{place}.content")
        made.append({**message, "role": "system"} if role == "developer" else dict(message))
        try:
            refuse_unread(normalise_messages(made[-1:]), named_in(template), lambda _: True)
        except PajamasError as error:
            what = error.what.replace("message 1", place)
            raise BadParameter(_named(place, what), what, error.why, error.fix) from None
    return made


def _check_content(content: Any, role: str, place: str) -> None:
    if content is None:
        if role != "assistant":
            raise _missing(place)
        return
    if isinstance(content, str):
        return
    if not isinstance(content, list):
        raise BadParameter(place, f"{place!r} is neither text nor a list of parts.")
    if not content and role != "assistant":
        raise BadParameter(place, f"{place!r} holds no part.", "Write a text.")
    for number, part in enumerate(content):
        kind = part.get("type") if isinstance(part, Mapping) else None
        if not isinstance(part, Mapping):
            raise BadParameter(f"{place}[{number}]", "A part is an object with a type.")
        if kind is None:
            raise _missing(f"{place}[{number}].type")
        if kind != "text":
            raise BadParameter(
                f"{place}[{number}].type", f"A part of type {kind!r} cannot be given to the model.",
                "It takes text.", code="unsupported_value",
            )  # fmt: skip
        if not isinstance(part.get("text"), str):
            raise BadParameter(f"{place}[{number}].text", "A part of type 'text' has a text.")


def _named(place: str, what: str) -> str:
    """The part of a message that core's words are about."""
    if found := re.search(r" a key '(.+)' that nothing reads", what):
        return f"{place}.{found[1]}"
    return f"{place}.tool_calls" if "tool call" in what else f"{place}.role" if " role " in what else place


def _missing(place: str) -> BadParameter:
    return BadParameter(place, f"Missing required parameter: {place!r}.", code="missing_required_parameter")
