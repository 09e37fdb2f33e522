"""What a person sees: errors, JSON, tables, and progress on a terminal or in a log."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pajamas.errors import PajamasError

if TYPE_CHECKING:
    from rich.console import Console

    from pajamas.progress import Progress


def console(*, stderr: bool = False) -> Console:
    """Colours and widths by the terminal, NO_COLOR and FORCE_COLOR. No markup: model names hold brackets."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False, soft_wrap=True)


def show_error(error: PajamasError) -> None:
    out = console(stderr=True)
    out.print("Error: ", style="bold red", end="")
    out.print(error.what)
    if error.why:
        out.print(f"  Why: {error.why}")
    if error.fix:
        out.print(f"  Do:  {error.fix}")


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
    return value


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> None:
    """Columns as wide as their content; those in `right` are numbers. On a terminal the last column folds to fit."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    out = console()
    if not out.is_terminal:
        out.width = sum(4 + max(len(cell) for cell in cells) for cells in zip(columns, *rows, strict=True))
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for number, column in enumerate(columns):
        last = number == len(columns) - 1
        table.add_column(
            column,
            justify="right" if number in right else "left",
            no_wrap=not last,
            overflow="fold" if last else "ellipsis",
        )
    for row in rows:
        table.add_row(*row)
    out.print(table)


def size(count: float) -> str:
    """Bytes in decimal units, as disks and the Hub count: 5.03 GB."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.2f} {unit}"
    return f"{count:.0f} B"


@contextmanager
def progress() -> Iterator[Progress]:
    """Bars on a terminal, plain lines elsewhere; both on standard error."""
    if sys.stderr.isatty():
        from pajamas.cli.progress_bars import Bars

        with Bars(console(stderr=True)) as bars:
            yield bars
    else:
        yield _Lines()


class _Lines:
    """A line when a stage begins, every ten seconds, and when it ends."""

    def stage(self, title: str, total: int | None, unit: str) -> _LineStage:
        return _LineStage(title, total, unit)


class _LineStage:
    def __init__(self, title: str, total: int | None, unit: str) -> None:
        self._title, self._total, self._unit = title, total, unit
        self._done = 0
        self._began = self._said = time.monotonic()

    def advance(self, amount: int, note: str = "") -> None:
        self._done += amount
        now = time.monotonic()
        if now - self._said >= 10:
            self._said = now
            self._say(note)

    def __enter__(self) -> _LineStage:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        if kind is None:
            self._say("done")

    def _say(self, note: str) -> None:
        elapsed = time.monotonic() - self._began
        rate = self._done / elapsed if elapsed > 0 else 0.0
        parts = [f"{self._title}: {self._amount(self._done)}"]
        if self._total:
            parts[0] += f" of {self._amount(self._total)} ({100 * self._done / self._total:.0f} %)"
        parts.append(f"{self._amount(rate)}/s")
        if self._total and rate and self._done < self._total:
            parts.append(f"{(self._total - self._done) / rate:.0f} s left")
        if note:
            parts.append(note)
        click.echo(", ".join(parts), err=True)

    def _amount(self, count: float) -> str:
        return size(count) if self._unit == "bytes" else f"{count:,.0f} {self._unit}"
