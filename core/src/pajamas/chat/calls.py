"""A tool call as formats that write JSON put it: names, arguments, ids."""

from __future__ import annotations

import json
import secrets
import string
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from pajamas.chat.scan import object_fields, parse_json
from pajamas.types import Chunk, ToolCall

NewId = Callable[[], str]

_ALPHANUMERIC = string.ascii_letters + string.digits


class Parser(Protocol):
    """Takes text as it comes and gives back what is certain; `finish` gives back the rest."""

    def feed(self, text: str) -> list[Chunk]: ...
    def finish(self) -> list[Chunk]: ...


def random_id() -> str:
    """A call's id. Nine letters and digits, because Mistral's templates refuse any other length."""
    return "".join(secrets.choice(_ALPHANUMERIC) for _ in range(9))


def json_call(
    text: str, new_id: NewId, *, arguments: Iterable[str] = ("arguments",), names: Iterable[str] | None = None
) -> ToolCall | None:
    """The call in a JSON object with "name" and "arguments", or None where it is not one.

    Args:
        arguments: The keys that may hold the arguments.
        names: The functions that there are; None accepts any name.
    """
    try:
        fields = object_fields(text)
        name = fields["name"][0]
        key = next((key for key in arguments if key in fields), None)
        written = "{}" if key is None else arguments_text(*fields[key])
    except (ValueError, KeyError):
        return None
    if not isinstance(name, str) or not name or (names is not None and name not in names):
        return None
    given = fields.get("id", (None, ""))[0]
    return ToolCall(id=given if isinstance(given, str) and given else new_id(), name=name, arguments=written)


def arguments_text(value: Any, written: str) -> str:
    """The arguments' JSON text: an object as it was written; some models put the object into a string.

    Raises:
        ValueError: they are not an object.
    """
    if value is None:
        return "{}"
    if isinstance(value, str):
        written = value
        value = parse_json(value)
    if not isinstance(value, dict):
        raise ValueError("arguments are not an object")
    return written


def function_schemas(tools: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Name to parameters' JSON schema, of tools in OpenAI's form or bare functions."""
    schemas = {}
    for tool in tools:
        function = tool.get("function", tool)
        if isinstance(function, Mapping) and isinstance(function.get("name"), str):
            parameters = function.get("parameters")
            schemas[function["name"]] = parameters if isinstance(parameters, Mapping) else {}
    return schemas


def dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
