"""What a person sees: errors, JSON, sizes, text that was made by others, and which progress to show."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from pajamas.errors import PajamasError

if TYPE_CHECKING:
    from pajamas.progress import Progress

# Model files and models write text too: on a terminal their control characters would be commands to it.
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


def safe(text: str) -> str:
    """Text of others for a terminal: control characters are shown, not obeyed."""
    return text.translate(_CONTROLS)


def write(text: str) -> None:
    """A piece of an answer to standard output, at once; as it is where no terminal reads it."""
    click.echo(safe(text) if _terminal(sys.stdout) else text, nl=False)  # which flushes


def say(text: str = "", *, err: bool = False, **style: Any) -> None:
    """A line, styled where the stream, NO_COLOR and FORCE_COLOR allow it."""
    click.echo(click.style(safe(text), **style) if style else safe(text), err=err)


def say_field(label: str, text: str, *, indent: int = 0, width: int = 0, taken: int = 0, err: bool = False) -> None:
    """`label`, `width` wide, and a text that on a terminal wraps under its own beginning.

    Args:
        taken: columns of the line that are written already.
    """
    head = " " * indent + (label.ljust(width) if len(label) < width or not width else f"{label} ")
    margin = taken + len(head)
    stream = sys.stderr if err else sys.stdout
    text = safe(text)
    if _terminal(stream):
        columns = shutil.get_terminal_size().columns
        # A path or command that is longer than the line stays whole, so that it can be copied.
        lines = textwrap.wrap(text, max(columns - margin, 20), break_long_words=False, break_on_hyphens=False)
        text = ("\n" + " " * margin).join(lines)
    click.echo(head + text, err=err)


def _terminal(stream: TextIO | None) -> bool:
    """False for a stream that the shell has closed, too."""
    return stream is not None and stream.isatty()


def show_error(error: PajamasError) -> None:
    """What, why and what to do: a line each."""
    # Styled by itself: this runs after click's context, which knows of NO_COLOR, is gone.
    click.secho("Error: ", fg="red", bold=True, nl=False, err=True, color=color())
    say_field("", _one_line(error.what), err=True, taken=len("Error: "))
    if error.why:
        say_field("Why: ", _one_line(error.why), indent=2, err=True)
    if error.fix:
        say_field("Do:  ", _one_line(error.fix), indent=2, err=True)


def color() -> bool | None:
    """What NO_COLOR and FORCE_COLOR say; None leaves it to whether a terminal is there."""
    return False if os.environ.get("NO_COLOR") else True if os.environ.get("FORCE_COLOR") else None


def _one_line(text: str) -> str:
    """Nothing but line breaks is changed: a text may begin with a path, and hold paths with two spaces in a row."""
    return re.sub(r"\s*[\r\n]+\s*", " ", text.strip())


def print_json(record: Any) -> None:
    click.echo(json.dumps(plain(record), indent=2, ensure_ascii=False))


def plain(record: Any) -> Any:
    """A record as JSON's own types: paths as text, sets as sorted lists, errors as their three lines."""
    import cattrs

    converter = cattrs.Converter()
    converter.register_unstructure_hook_func(lambda kind: isinstance(kind, type) and issubclass(kind, Path), str)
    converter.register_unstructure_hook_func(
        lambda kind: isinstance(kind, type) and issubclass(kind, PajamasError),
        lambda error: {"error": type(error).__name__, "what": error.what, "why": error.why, "fix": error.fix},
    )
    return _json_types(converter.unstructure(record))


def _json_types(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _json_types(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_types(item) for item in value]
    if isinstance(value, bytes):
        return list(value)  # as OpenAI's API gives a token's bytes
    if isinstance(value, (set, frozenset)):
        return sorted(str(item) for item in value)
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return None  # JSON has no infinity: a token that cannot come has no logarithm
    return value


def size(count: float) -> str:
    """Bytes in decimal units, as disks and the Hub count: 5.03 GB."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.2f} {unit}"
    return f"{count:.0f} B"


def rate(per_second: float, unit: str) -> str:
    """How fast something goes: 12 windows/s, 3.2 MB/s, or for what is slower than one a second, 25 s each."""
    if unit == "bytes":
        return f"{size(per_second)}/s"
    return f"{per_second:,.0f}/s" if per_second >= 1 else f"{duration(1 / per_second)} each"


def duration(seconds: float) -> str:
    """3.2 s, 45 s, 12:05 minutes or 1:02:33 hours."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


@contextmanager
def progress(*, keep: bool = True, doing: str = "") -> Iterator[Progress]:
    """Bars on a terminal, plain lines elsewhere; both on standard error.

    Args:
        keep: leave finished bars on the screen.
        doing: what a spinner on a terminal says until the work has stages of its own, and while it has none.
    """
    if _terminal(sys.stderr):
        from pajamas.cli.progress_bars import Bars

        with Bars(keep=keep, doing=doing) as bars:
            yield bars
    else:
        from pajamas.cli.progress_lines import Lines

        yield Lines()
