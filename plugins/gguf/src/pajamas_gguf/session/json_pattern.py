"""A JSON schema's `pattern` as GBNF for the JSON string that matches it.

The text between the quotes is JSON: what the pattern says of a quote, a backslash or a line break, the grammar says of
its escape. A pattern is a search, so it may match anywhere unless `^` and `$` hold it.
"""

from __future__ import annotations

from collections.abc import Iterable
from re import _constants as kinds  # type: ignore[attr-defined]  # private, as is all of sre_parse since 3.11
from re import _parser as parser  # type: ignore[attr-defined]  # but what Python itself parses is the judge
from typing import Any

from pajamas.errors import UnsupportedFeature

_LAST = 0x10FFFF
_SURROGATES = (0xD800, 0xDFFF)
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_NEEDS_ESCAPE = [*range(0x20), 0x22, 0x5C, 0x7F]
_LINE_ENDS = [(0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029)]

_Ranges = list[tuple[int, int]]
# As ECMA-262 defines them, which is what JSON Schema refers to.
_CATEGORIES: dict[Any, _Ranges] = {
    kinds.CATEGORY_DIGIT: [(0x30, 0x39)],
    kinds.CATEGORY_WORD: [(0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)],
    kinds.CATEGORY_SPACE: [
        (0x09, 0x0D), (0x20, 0x20), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029),
        (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000),
    ],
}  # fmt: skip
_NEGATED = {
    kinds.CATEGORY_NOT_DIGIT: kinds.CATEGORY_DIGIT,
    kinds.CATEGORY_NOT_WORD: kinds.CATEGORY_WORD,
    kinds.CATEGORY_NOT_SPACE: kinds.CATEGORY_SPACE,
}


def to_rule(pattern: str) -> str:
    """The right side of a rule for the whole string, quotes included.

    Raises:
        UnsupportedFeature: the pattern looks around, refers back, or has an anchor in its middle.
        ValueError: it is no regular expression.
    """
    try:
        tree = list(parser.parse(pattern))
    except (parser.error, OverflowError) as error:
        raise ValueError(f"The pattern {pattern!r}: {error}.") from error
    return rf'"\"" ({_searched(tree)}) "\""'


def literal(text: str) -> str:
    """The text in GBNF's quotes."""
    return '"' + "".join(_code(ord(c)) if c in '"\\' or not c.isprintable() else c for c in text) + '"'


def _searched(items: list[Any]) -> str:
    """A top-level alternative: where no anchor holds it, anything may stand before and after."""
    if len(items) == 1 and items[0][0] is kinds.BRANCH:
        return " | ".join(f"({_searched(list(branch))})" for branch in items[0][1][1])
    anything = _class([(0, _LAST)]) + "*"
    begin = end = anything
    if items and items[0] == (kinds.AT, kinds.AT_BEGINNING):
        begin, items = "", items[1:]
    if items and items[-1] == (kinds.AT, kinds.AT_END):
        end, items = "", items[:-1]
    return " ".join(part for part in (begin, _sequence(items), end) if part)


def _sequence(items: Iterable[Any]) -> str:
    return " ".join(_item(kind, value) for kind, value in items) or '""'


def _item(kind: Any, value: Any) -> str:
    if kind is kinds.LITERAL:
        return _class([(value, value)])
    if kind is kinds.NOT_LITERAL:
        return _class(_complement([(value, value)]))
    if kind is kinds.ANY:
        return _class(_complement(_LINE_ENDS))
    if kind is kinds.IN:
        return _class(_members(value))
    if kind is kinds.BRANCH:
        return "(" + " | ".join(_sequence(branch) for branch in value[1]) + ")"
    if kind is kinds.SUBPATTERN:
        _, add_flags, del_flags, inner = value
        if not add_flags and not del_flags:
            return f"({_sequence(inner)})"
    if kind in (kinds.MAX_REPEAT, kinds.MIN_REPEAT):
        low, high, inner = value
        return f"({_sequence(inner)})" + (f"{{{low},}}" if high is kinds.MAXREPEAT else f"{{{low},{high}}}")
    raise UnsupportedFeature(
        "The JSON schema's pattern cannot be enforced.",
        f"llama.cpp's grammars do not express {str(kind).lower().replace('_', ' ')!r}.",
        "Write it without, or check the answer yourself.",
    )


def _members(items: Iterable[Any]) -> _Ranges:
    found: _Ranges = []
    negated = False
    for kind, value in items:
        if kind is kinds.NEGATE:
            negated = True
        elif kind is kinds.LITERAL:
            found.append((value, value))
        elif kind is kinds.RANGE:
            found.append(value)
        else:
            found += _CATEGORIES.get(value) or _complement(_CATEGORIES[_NEGATED[value]])
    return _complement(found) if negated else found


def _complement(ranges: _Ranges) -> _Ranges:
    found, place = [], 0
    for low, high in sorted(ranges):
        if low > place:
            found.append((place, low - 1))
        place = max(place, high + 1)
    return [*found, (place, _LAST)] if place <= _LAST else found


def _class(ranges: _Ranges) -> str:
    """One character of these: as itself where JSON allows that, else as JSON's escape."""
    escaped = [code for code in _NEEDS_ESCAPE if any(low <= code <= high for low, high in ranges)]
    closed = [*((code, code) for code in _NEEDS_ESCAPE), _SURROGATES]
    plain = _complement(_complement(ranges) + closed)
    choices = [literal(_ESCAPES.get(chr(code), f"\\u{code:04x}")) for code in escaped]
    if plain:
        choices.append(
            "[" + "".join(_code(low) + (f"-{_code(high)}" if high > low else "") for low, high in plain) + "]"
        )
    return choices[0] if len(choices) == 1 else "(" + " | ".join(choices) + ")"


def _code(code: int) -> str:
    return f"\\x{code:02X}" if code < 0x100 else f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"
