"""Tables as plain text."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import click

from pajamas.cli.output import safe

_GAP = "  "


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[int] = ()) -> None:
    """Columns as wide as their content, under a bold head; those in `right` are numbers.

    The last column is never cut or padded, so that paths in it can be copied.
    """
    cells = [[safe(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(columns, *cells, strict=True)]
    click.secho(_line(columns, widths, right), bold=True)
    for row in cells:
        click.echo(_line(row, widths, right))


def _line(cells: Sequence[str], widths: Sequence[int], right: Collection[int]) -> str:
    parts = [
        cell.rjust(width) if number in right else cell.ljust(width)
        for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return _GAP.join(parts).rstrip()
