"""Progress bars on a terminal, with rate and time left."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console  # noqa: TID253 - this module is imported only to draw on a terminal
from rich.progress import (  # noqa: TID253
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text  # noqa: TID253

from pajamas.cli.output import size


class Bars:
    """One bar for each stage; a finished one stays on the screen."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            _AmountColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("{task.fields[note]}", style="dim"),
            console=console,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def stage(self, title: str, total: int | None, unit: str) -> _BarStage:
        return _BarStage(self._progress, self._progress.add_task(title, total=total, note="", unit=unit))


class _BarStage:
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def advance(self, amount: int, note: str = "") -> None:
        self._progress.update(self._task, advance=amount, note=note[:40])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.update(self._task, note="" if kind is None else "stopped")
        self._progress.stop_task(self._task)


class _AmountColumn(ProgressColumn):
    """Done of total, and the rate, in the stage's own unit."""

    def render(self, task: Task) -> Text:
        unit = task.fields["unit"]

        def amount(count: float) -> str:
            return size(count) if unit == "bytes" else f"{count:,.0f}"

        text = amount(task.completed) if task.total is None else f"{amount(task.completed)}/{amount(task.total)}"
        speed = task.finished_speed or task.speed
        words = "" if unit == "bytes" else f" {unit}"
        return Text(f"{text}{words}" + (f", {amount(speed)}/s" if speed else ""))
