"""How far two texts are the same, also where of one only digests are left.

A text that a model was calibrated with may not judge it. Receipts do not keep that text, but a print of its lines.
Conversations in JSON (one `{"messages": [{"content": ...}]}` a line) count as what is said in them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Self

from attrs import frozen

_LONG = 24
_TOO_MUCH = 0.5
_SAMPLE, _DIGITS = 1024, 12


def long_lines(text: str) -> set[str]:
    """The lines of at least 24 characters, runs of spaces taken as one: shorter ones are said in every text."""
    return {line for line in _lines(text) if len(line) >= _LONG}


def mostly_same(shared: int, first: int, second: int) -> bool:
    """Whether more than half of the smaller text's lines, `first` or `second` in all, stand in the other."""
    return shared > _TOO_MUCH * min(first, second)


@frozen(kw_only=True)
class LinePrint:
    """What is kept of a text to know it again: 12 KB at most."""

    text_sha256: str
    """Of the lines with runs of spaces taken as one and empty lines left out, joined by newlines."""
    lines: int
    """How many different long lines it has."""
    sample: frozenset[str]
    """The smallest digests of its long lines, 48 bits in hexadecimal, 1,024 at most: a random sample of the lines that
    is the same for the same lines (Broder 1997, "On the resemblance and containment of documents")."""

    @classmethod
    def of(cls, text: str) -> Self:
        lines = long_lines(text)
        sample = sorted(map(_digest, lines))[:_SAMPLE]
        return cls(text_sha256=_whole(text), lines=len(lines), sample=frozenset(sample))

    @classmethod
    def read(cls, record: Any) -> Self | None:
        """From `record`; None where it is none."""
        if not isinstance(record, Mapping):
            return None
        whole, lines, sample = (record.get(name) for name in ("text_sha256", "lines", "sample"))
        if not (isinstance(whole, str) and isinstance(lines, int) and isinstance(sample, str)):
            return None
        parts = frozenset(sample[start : start + _DIGITS] for start in range(0, len(sample), _DIGITS))
        return cls(text_sha256=whole, lines=lines, sample=parts) if len(parts) <= lines else None

    def record(self) -> dict[str, Any]:
        """As JSON values."""
        return {"text_sha256": self.text_sha256, "lines": self.lines, "sample": "".join(sorted(self.sample))}

    def shared_lines(self, text: str) -> int:
        """How many of the long lines stand in `text` too: counted up to 1,024 lines, above that estimated."""
        if not self.sample:
            return 0
        found = len(self.sample & set(map(_digest, long_lines(text))))
        return round(found / len(self.sample) * self.lines)

    def is_mostly(self, text: str) -> bool:
        """Whether `text` is the same but for spaces, or one of both holds more than half of the other."""
        return self.text_sha256 == _whole(text) or mostly_same(
            self.shared_lines(text), self.lines, len(long_lines(text))
        )


def _whole(text: str) -> str:
    return hashlib.sha256("\n".join(_lines(text)).encode("utf-8", "replace")).hexdigest()


def _lines(text: str) -> Iterator[str]:
    for line in text.splitlines():
        for said in _said(line) if line.startswith("{") and '"messages"' in line else (line,):
            if plain := " ".join(said.split()):
                yield plain


def _said(line: str) -> list[str]:
    """The lines of a conversation's contents; a line that is no conversation as it is."""
    try:
        contents = [message["content"] for message in json.loads(line)["messages"]]
        return [said for content in contents for said in content.splitlines()]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return [line]


def _digest(line: str) -> str:
    return hashlib.sha256(line.encode("utf-8", "replace")).hexdigest()[:_DIGITS]
