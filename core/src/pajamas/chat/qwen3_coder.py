"""Calls as Qwen3-Coder writes them.

    <tool_call>
    <function=name>
    <parameter=key>
    value
    </parameter>
    </function>
    </tool_call>

Values are bare text, so their types come from the tool's JSON schema. Format: the text of the model's own chat
template. The models are known to leave out the opening `<tool_call>`, so `<function=` opens a call too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pajamas.chat.calls import NewId, dump
from pajamas.chat.scan import parse_json
from pajamas.chat.tagged import TaggedCalls
from pajamas.types import ToolCall

OPEN = "<tool_call>"
CLOSE = "</tool_call>"
FUNCTION = "<function="
FUNCTION_END = "</function>"

_HEAD = re.compile(r"\s*<function=([^>\n]+)>\s*")
_TAIL = re.compile(r"</function>\s*")
# A value ends where the next parameter or the end of the function follows: it may itself be a text about tags. One that
# holds another parameter's opener was never closed.
_PARAMETER = re.compile(
    r"<parameter=([^>\n]+)>\n?((?:(?!<parameter=).)*?)\n?</parameter>\s*(?=<parameter=|</function>)", re.DOTALL
)


class Qwen3CoderCalls(TaggedCalls):
    def __init__(self, new_id: NewId, schemas: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__((OPEN, FUNCTION))
        self._new_id = new_id
        self._schemas = schemas

    def _opened(self) -> None:
        self._searched = 0

    def _end(self, tag: str, *, finished: bool) -> int | None:
        """The first closing tag that is not inside a parameter."""
        close = CLOSE if tag == OPEN else FUNCTION_END
        while (found := self._buffer.find(close, self._searched)) >= 0 and self._in_parameter(found):
            self._searched = found + 1
        if found < 0:
            self._searched = max(self._searched, len(self._buffer) - len(close) + 1)
            found = self._buffer.find(close) if finished else -1  # a parameter that never closes hides no tag
            if found < 0:
                return None
        end = found + len(close)
        return end if tag == OPEN else self._end_without_opener(found, end, finished=finished)

    def _end_without_opener(self, found: int, end: int, *, finished: bool) -> int | None:
        """Behind `</function>`, the closing tag may still come, and belongs to the call."""
        rest = self._buffer[end:].lstrip()
        if rest.startswith(CLOSE):
            return len(self._buffer) - len(rest) + len(CLOSE)
        if CLOSE.startswith(rest) and not finished:
            self._searched = found
            return None
        return end

    def _in_parameter(self, position: int) -> bool:
        return self._buffer.rfind("<parameter=", 0, position) > self._buffer.rfind("</parameter>", 0, position)

    def _read(self, tag: str, text: str) -> Sequence[ToolCall]:
        body = text.removeprefix(OPEN).removesuffix(CLOSE)
        position, calls = 0, []
        while head := _HEAD.match(body, position):  # several functions between one pair of tags have been seen
            name, arguments, position = head[1].strip(), {}, head.end()
            properties = self._schemas.get(name, {}).get("properties")
            while parameter := _PARAMETER.match(body, position):
                key = parameter[1].strip()
                schema = properties.get(key) if isinstance(properties, Mapping) else None
                arguments[key] = typed(parameter[2], schema)
                position = parameter.end()
            tail = _TAIL.match(body, position)
            if tail is None:
                return ()
            position = tail.end()
            calls.append(ToolCall(id=self._new_id(), name=name, arguments=dump(arguments)))
        return calls if position == len(body) else ()


def typed(text: str, schema: Any) -> Any:
    """A parameter's text as the type its schema names; the text itself where it does not fit or no schema says."""
    types = set(_types(schema))
    word = text.strip().lower()
    if "null" in types and word in ("null", "none"):
        return None
    if "boolean" in types and word in ("true", "false"):  # templates print Python's True and False
        return word == "true"
    if types & {"integer", "number", "object", "array"}:
        try:
            value = parse_json(text)
        except ValueError:
            return text
        if isinstance(value, bool):
            return text
        if isinstance(value, float) and "integer" in types and value.is_integer():
            value = int(value)
        if isinstance(value, int | float) and types & {"integer", "number"}:
            return value
        if (isinstance(value, dict) and "object" in types) or (isinstance(value, list) and "array" in types):
            return value
    return text


def _types(schema: Any) -> Iterator[str]:
    if not isinstance(schema, Mapping):
        return
    declared = schema.get("type")
    yield from [declared] if isinstance(declared, str) else declared if isinstance(declared, list) else ()
    for key in ("anyOf", "oneOf"):
        variants = schema.get(key)
        for variant in variants if isinstance(variants, list) else ():
            yield from _types(variant)
