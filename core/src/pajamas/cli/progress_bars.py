"""Progress bars on a terminal, with rate and time left."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from rich.console import Console  # noqa: TID253 - this module is imported only to draw on a terminal
from rich.progress import (  # noqa: TID253 - as above
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
)
from rich.table import Column  # noqa: TID253 - as above
from rich.text import Text  # noqa: TID253 - as above

from pajamas.cli.output import duration, rate, size

_TITLE = 32


def _column(**options: Any) -> Column:
    return Column(no_wrap=True, overflow="ellipsis", **options)


class Bars:
    """One bar for each stage. Made for 80 columns: title, bar, amount with rate, time left, on one line.

    Args:
        keep: leave finished bars on the screen.
        doing: what the spinner says that shows while no stage is under way; "" is none.
    """

    def __init__(self, *, keep: bool, doing: str) -> None:
        # No markup: model names hold brackets.
        console = Console(stderr=True, highlight=False, markup=False)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False, table_column=_column(max_width=_TITLE)),
            _BarColumn(),
            _AmountColumn(),
            _TimeColumn(),
            console=console,
            transient=not keep,
            expand=True,
        )
        self._spinner = self._progress.add_task(doing, total=None, note="", unit="", visible=bool(doing))
        self._doing, self._stages = doing, 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.remove_task(self._spinner)
        self._progress.stop()

    def stage(self, title: str, total: int | None, unit: str) -> _BarStage:
        task = self._progress.add_task(title, total=total, note="", unit=unit)
        return _BarStage(self._progress, task, self._count)

    def _count(self, change: int) -> None:
        """A stage more or less is under way."""
        self._stages += change
        self._progress.update(self._spinner, visible=bool(self._doing) and not self._stages)


class _BarStage:
    def __init__(self, progress: Progress, task: TaskID, count: Callable[[int], None]) -> None:
        self._progress, self._task, self._count = progress, task, count

    def advance(self, amount: int, note: str = "") -> None:
        self._progress.update(self._task, advance=amount, note=note)

    def __enter__(self) -> Self:
        self._count(1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.update(self._task, note="" if kind is None else "stopped")
        self._progress.stop_task(self._task)
        self._count(-1)


class _BarColumn(ProgressColumn):
    """A bar, or a spinner where nobody knows how long it takes."""

    def __init__(self) -> None:
        super().__init__(_column(ratio=1, min_width=5))  # what the numbers leave
        self._bar = BarColumn(bar_width=None)
        self._spinner = SpinnerColumn()

    def render(self, task: Task) -> object:  # type: ignore[override]  # rich says RenderableType, which both are
        return self._spinner.render(task) if task.total is None else self._bar.render(task)


class _AmountColumn(ProgressColumn):
    """Done of total, and the rate, in the stage's own unit."""

    def __init__(self) -> None:
        super().__init__(_column())

    def render(self, task: Task) -> Text:
        unit = task.fields["unit"]

        def amount(count: float) -> str:
            return size(count) if unit == "bytes" else f"{count:,.0f}"

        if task.total is None:
            return Text(amount(task.completed) if task.completed else "")
        done = f"{task.completed / 1e9:.2f}" if unit == "bytes" and task.total >= 1e9 else amount(task.completed)
        text = amount(task.total) if task.finished else f"{done}/{amount(task.total)}"
        speed = task.finished_speed or task.speed
        words = "" if unit == "bytes" else f" {unit}"
        return Text(f"{text}{words}" + (f" {rate(speed, unit)}" if speed else ""))


class _TimeColumn(ProgressColumn):
    """Time left; when it is done, the time it took."""

    max_refresh = 0.5

    def __init__(self) -> None:
        super().__init__(_column())

    def render(self, task: Task) -> Text:
        if task.fields["note"] == "stopped":
            return Text("stopped", style="yellow")
        if task.finished:
            return Text(f"in {duration(task.finished_time or 0)}", style="green")
        return Text(f"{duration(task.time_remaining)} left") if task.time_remaining is not None else Text("")
