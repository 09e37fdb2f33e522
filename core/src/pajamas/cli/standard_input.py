"""Standard input as text. It is UTF-8 whatever the locale says, and anything else is an error, not a traceback."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from pajamas.errors import UsageError


def read_all() -> str:
    """Raises UsageError if it is not UTF-8."""
    return _decoded(sys.stdin.buffer.read())


def read_lines() -> Iterator[str]:
    """Raises UsageError at the line that is not UTF-8."""
    for line in sys.stdin.buffer:
        yield _decoded(line)


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        why = f"Byte {error.start} is 0x{data[error.start]:02x}."
        raise UsageError(
            "Standard input is not UTF-8 text.", why, "Convert it first, for example with iconv."
        ) from error
