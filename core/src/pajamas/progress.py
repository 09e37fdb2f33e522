"""How long work tells where it is. Core and plugins report; only the command line draws."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self


class Stage(Protocol):
    """One stage of the work, open while it runs."""

    def advance(self, amount: int, note: str = "") -> None:
        """`amount` more units are done; `note` names the thing in hand, such as a tensor."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Progress(Protocol):
    """What is told how far long work is."""

    def stage(self, title: str, total: int | None, unit: str) -> Stage:
        """Open a stage of `total` units (None: unknown): "bytes", "tensors", "windows", "tokens" or "packages"."""
        ...


class _NoStage:
    def advance(self, amount: int, note: str = "") -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class _NoProgress:
    def stage(self, title: str, total: int | None, unit: str) -> Stage:
        return _NoStage()


NO_PROGRESS: Progress = _NoProgress()
