"""How large a template's operation would make its result, known before it is made."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jinja2.exceptions import SecurityError

from pajamas.chat.budget import weight

_MAX_BITS = 4096
_PERCENT_WIDTH = re.compile(r"%[^a-zA-Z%]*(?:\d{4}|\*)")


def operator_growth(operator: str, left: Any, right: Any) -> int:
    """Size of `left operator right`; numbers that would never end are refused."""
    if operator == "+":
        return weight(left) + weight(right) if isinstance(left, str | list | tuple) else 0
    if operator == "%":
        return percent_growth(left, right) if isinstance(left, str) else 0
    if isinstance(left, int) and isinstance(right, int):
        bits = left.bit_length() * max(right, 1) if operator == "**" else left.bit_length() + right.bit_length()
        if bits > _MAX_BITS:
            raise SecurityError(f"the result of {operator} is too large a number")
    elif operator == "*":
        for value, count in ((left, right), (right, left)):
            if isinstance(value, str | list | tuple) and isinstance(count, int):
                return weight(value) * max(int(count), 0)
    return 0


def percent_growth(text: Any, values: Any) -> int:
    """Size of `text % values`."""
    format = str(text)
    if _PERCENT_WIDTH.search(format):
        raise SecurityError("a format is too wide")
    return len(format) + weight(values) * format.count("%")


def _padded(text: Any, width: int = 80, *_: Any) -> int:
    return max(width, 0)


def _tabs(text: str, tabsize: int = 8) -> int:
    return text.count("\t") * max(tabsize, 0)


def _replaced(text: Any, old: Any, new: Any, *_: Any) -> int:
    return len(str(text)) + str(text).count(str(old)) * len(str(new))


def _joined(values: Sequence[Any], separator: Any = "", *_: Any, **__: Any) -> int:
    return weight(values) + len(str(separator)) * len(values)


def _indented(text: Any, width: int | str = 4, *_: Any, **__: Any) -> int:
    return (str(text).count("\n") + 1) * (len(width) if isinstance(width, str) else max(width, 0))


def _filled(values: Any, count: int, *_: Any, **__: Any) -> int:
    return max(count, 0)


def _rounded(value: Any, precision: int = 0, *_: Any, **__: Any) -> int:
    if precision > 100:
        raise SecurityError(f"cannot round to {precision} digits")
    return 0


def _summed(values: Any, attribute: Any = None, start: Any = 0) -> int:
    if not isinstance(start, int | float):
        raise SecurityError("only numbers can be summed up")
    return 0


def _json(
    value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
) -> int:
    width = len(indent) if isinstance(indent, str) else indent or 0
    if width > 16 or sum(map(len, separators or ())) > 16:
        raise SecurityError("the indentation or the separators of JSON are too wide")
    return weight(value)


METHOD_GROWTH: Mapping[str, Callable[..., int]] = {
    "center": _padded,
    "expandtabs": _tabs,
    "join": lambda separator, values: _joined(values, separator),
    "ljust": _padded,
    "replace": _replaced,
    "rjust": _padded,
    "zfill": _padded,
}
"""Of strings: the method's name to a function of the string and the arguments."""

FILTER_GROWTH: Mapping[str, Callable[..., int]] = {
    "batch": _filled,
    "center": _padded,
    "format": lambda text, *values, **named: percent_growth(text, values or named),
    "indent": _indented,
    "join": _joined,
    "replace": _replaced,
    "round": _rounded,
    "slice": _filled,
    "sum": _summed,
    "tojson": _json,
}
"""The filter's name to a function of its value and arguments."""
