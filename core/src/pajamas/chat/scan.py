"""Looking for tags and JSON in text that arrives in pieces of any size."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any, NoReturn

MAX_SPACE = 64
"""Characters of white space that are held back where a tag after it would swallow it."""

_DECODER = json.JSONDecoder(parse_constant=lambda name: _refuse(name), parse_float=lambda text: _finite(text))
_SPACE = " \t\n\r"


def held(text: str, tags: Iterable[str]) -> int:
    """How many characters at the end of `text` could be the beginning of one of `tags`."""
    longest = 0
    for tag in tags:
        for size in range(min(len(tag) - 1, len(text)), longest, -1):
            if text.endswith(tag[:size]):
                longest = size
                break
    return longest


def split_space(text: str, space: str | None = None) -> tuple[str, str]:
    """`text` in two: what is certain, and the white space at its end (at most `MAX_SPACE`) that a tag may take."""
    kept = max(len(text.rstrip(space)), len(text) - MAX_SPACE)
    return text[:kept], text[kept:]


def find_first(text: str, tags: Iterable[str]) -> tuple[int, str] | None:
    """The first of `tags` in `text`: its position and which one; None where there is none."""
    hits = [(position, tag) for tag in tags if (position := text.find(tag)) >= 0]
    return min(hits) if hits else None


class JsonEnd:
    """Finds where one JSON object or array ends, reading its text once, however it is cut.

    Only brackets and strings are followed: whether the text is JSON is for the decoder to say.
    """

    def __init__(self) -> None:
        self.in_string = False
        self._depth = 0
        self._escaped = False
        self._ended = False

    def feed(self, text: str, start: int = 0, end: int | None = None) -> int | None:
        """Read `text[start:end]`, which goes on where the last call stopped.

        Returns:
            The index in `text` just behind the value's last bracket, or None while it is open (and after its end).
        """
        if self._ended:
            return None
        for index in range(start, len(text) if end is None else end):
            character = text[index]
            if self.in_string:
                if self._escaped:
                    self._escaped = False
                elif character == "\\":
                    self._escaped = True
                elif character == '"' or character < " ":  # JSON strings hold no raw control characters: it is broken
                    self.in_string = False
            elif character == '"':
                self.in_string = True
            elif character in "{[":
                self._depth += 1
            elif character in "}]":
                self._depth -= 1
                if self._depth <= 0:
                    self._ended = True
                    return index + 1
        return None


def parse_json(text: str) -> Any:
    """The value of strict JSON text (RFC 8259), with numbers that a float can hold.

    Raises:
        ValueError: it is not JSON, nests too deeply, or holds a number too long to read.
    """
    value, end = _decode(text, _skip_space(text, 0))
    if _skip_space(text, end) != len(text):
        raise ValueError("something follows the JSON value")
    return value


def object_fields(text: str) -> dict[str, tuple[Any, str]]:
    """The fields of a JSON object, each as (value, its own text), so that numbers and order stay as they were written.

    Raises:
        ValueError: it is not one JSON object, or a key comes twice.
    """
    fields: dict[str, tuple[Any, str]] = {}
    position = _expect(text, 0, "{")
    if text[position : position + 1] != "}":
        while True:
            key, position = _decode(text, position)
            if not isinstance(key, str) or key in fields:
                raise ValueError(f"not a new key: {key!r}")
            start = _expect(text, position, ":")
            value, position = _decode(text, start)
            fields[key] = (value, text[start:position])
            position = _skip_space(text, position)
            if text[position : position + 1] != ",":
                break
            position = _skip_space(text, position + 1)
    if _expect(text, position, "}") != len(text):
        raise ValueError("something follows the object")
    return fields


def _decode(text: str, position: int) -> tuple[Any, int]:
    try:
        return _DECODER.raw_decode(text, position)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _expect(text: str, position: int, character: str) -> int:
    position = _skip_space(text, position)
    if text[position : position + 1] != character:
        raise ValueError(f"{character!r} expected at {position}")
    return _skip_space(text, position + 1)


def _skip_space(text: str, position: int) -> int:
    while position < len(text) and text[position] in _SPACE:
        position += 1
    return position


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")
