"""A report's folder: `report.md`, `report.json`, and the page `index.html`."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from pajamas.cli.plugin import plain
from pajamas.errors import UsageError
from pajamas_bench.report import atomic, markdown, page
from pajamas_bench.results import BenchmarkResult


def prepare(folder: Path) -> None:
    """Make the folder, before the work whose result is to stand there.

    Raises:
        UsageError: it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _unwritable(folder, error) from error


def write_report(result: BenchmarkResult, folder: Path) -> tuple[Path, ...]:
    """Write the three files, each complete or not at all; the paths of those that a person opens.

    `report.json` is what `--json` prints, and serves as a baseline.

    Raises:
        UsageError: the folder cannot be written to.
    """
    texts = {
        "report.json": json.dumps(plain(result), indent=2, ensure_ascii=False) + "\n",
        "report.md": markdown.render(result),
        "index.html": page.render(result),
    }
    try:
        for name, text in texts.items():
            atomic.write(folder / name, text)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return folder / "report.md", folder / "index.html"


def _unwritable(folder: Path, error: OSError) -> UsageError:
    return UsageError(f"The report cannot be written to {folder}.", str(error), "Name another folder.")
