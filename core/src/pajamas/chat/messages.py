"""Messages and tools as callers give them, brought into the one form that chat templates expect.

Callers follow OpenAI's API: content may be a list of parts, a tool call's arguments are JSON text, an assistant that
only calls tools has no content. Templates want text, dictionaries, and never null.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pajamas.chat.scan import parse_json
from pajamas.errors import UnsupportedFeature, UsageError

_REASONING = ("reasoning_content", "thinking", "reasoning")
"""Names that a message's reasoning comes under; templates read the first, gpt-oss's the second."""


def normalise_messages(messages: Iterable[Mapping[str, Any]], *, parts: bool = False) -> list[dict[str, Any]]:
    """New messages of plain JSON types; the caller's are not touched.

    Args:
        parts: The template wants content as a list of parts, not as text.

    Raises:
        UsageError: there are no messages, or one has no role, or arguments that are not a JSON object.
        UnsupportedFeature: a message holds something other than text.
    """
    normal = [_message(message, number, parts) for number, message in enumerate(messages, 1)]
    if not normal:
        raise UsageError("there are no messages", "a chat template needs at least one", "add a user message")
    return normal


def normalise_tools(tools: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """New tools in OpenAI's form: `{"type": "function", "function": {"name": ...}}`; bare functions are wrapped.

    Raises:
        UsageError: one is not a function with a name.
    """
    normal = []
    for number, tool in enumerate(tools, 1):
        plain = plain_data(tool)
        if isinstance(plain, dict) and "function" not in plain and "name" in plain:
            plain = {"type": "function", "function": plain}
        function = plain.get("function") if isinstance(plain, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise UsageError(
                f"tool {number} is not a function with a name",
                "tools have the form of OpenAI's API",
                'write it as {"type": "function", "function": {"name": ..., "parameters": {...}}}',
            )
        normal.append(plain)
    return normal


def plain_data(value: Any) -> Any:
    """The same value of plain JSON types only, so that a template meets no object with methods of its own.

    Raises:
        UsageError: it holds something that JSON does not know.
    """
    if value is None or isinstance(value, bool):
        return value
    for kind in (str, int, float):
        if isinstance(value, kind):
            return value if type(value) is kind else kind(value)
    if isinstance(value, Mapping):
        return {plain_data(key): plain_data(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_data(item) for item in value]
    raise UsageError(
        f"a chat template cannot be given a {type(value).__name__}",
        "messages, tools and template variables hold text, numbers, lists and dictionaries",
        "convert it first",
    )


def _message(message: Mapping[str, Any], number: int, parts: bool) -> dict[str, Any]:
    if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
        raise UsageError(
            f"message {number} has no role",
            "a message is an object with a role and a content",
            'write it as {"role": "user", "content": "..."}',
        )
    plain = {key: plain_data(value) for key, value in message.items() if value is not None}
    if plain.get("tool_calls") is not None:
        plain["tool_calls"] = _tool_calls(plain["tool_calls"], number)
    if plain["role"] == "assistant":
        plain.setdefault("content", "")
    if "content" in plain:
        plain["content"] = _content(plain["content"], number, parts)
    reasoning = next((plain[key] for key in _REASONING if key in plain), None)
    if reasoning is not None:
        plain = {"thinking": reasoning, **plain, "reasoning_content": reasoning}
    return plain


def _content(content: Any, number: int, parts: bool) -> Any:
    """Text parts are joined by a newline, as llama.cpp and vLLM do."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if parts else content
    if not isinstance(content, list):
        raise UsageError(
            f"the content of message {number} is neither text nor a list of parts",
            f"it is a {type(content).__name__}",
            'give it as "content": "..."',
        )
    for part in content:
        if not isinstance(part, dict) or not isinstance(part.get("text"), str):
            kind = part.get("type") if isinstance(part, dict) else type(part).__name__
            raise UnsupportedFeature(
                f"message {number} holds a part of type {kind!r}",
                "only text can be given to a model here",
                "leave the other parts out",
            )
    return content if parts else "\n".join(part["text"] for part in content)


def _tool_calls(calls: Any, number: int) -> list[dict[str, Any]]:
    if not isinstance(calls, list):
        raise _bad_call(number, "tool_calls is not a list")
    normal = []
    for call in calls:
        if not isinstance(call, dict):
            raise _bad_call(number, "one is not an object")
        function = call.get("function", call)
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise _bad_call(number, "one names no function")
        outer = call if "function" in call else {"type": "function"}
        normal.append({**outer, "function": {**function, "arguments": _arguments(function, number)}})
    return normal


def _arguments(function: dict[str, Any], number: int) -> dict[str, Any]:
    arguments = function.get("arguments")
    if isinstance(arguments, str) and arguments.strip():
        try:
            arguments = parse_json(arguments)
        except ValueError as error:
            raise _bad_call(number, f"the arguments of {function['name']} are not JSON: {error}") from None
    if not arguments:
        return {}
    if not isinstance(arguments, dict):
        raise _bad_call(number, f"the arguments of {function['name']} are not an object")
    return arguments


def _bad_call(number: int, why: str) -> UsageError:
    return UsageError(
        f"message {number} holds a tool call that cannot be read",
        why,
        'write it as {"id": ..., "type": "function", "function": {"name": ..., "arguments": "{...}"}}',
    )
