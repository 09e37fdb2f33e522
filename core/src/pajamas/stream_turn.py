"""One stream at a time: what a session gives out that serves one caller after the other."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Generator, Iterator
from typing import Any, Generic, TypeVar

from pajamas.errors import EngineError

T = TypeVar("T")


class Turn:
    """A lock that a stream holds from its first item to its end, and that tells its own thread from others."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner: int | None = None
        self._stream: Callable[[], Stream[Any] | None] = lambda: None

    def check(self) -> None:
        """Refuse to wait for oneself.

        Raises:
            EngineError: this thread has a stream open.
        """
        if self._owner == threading.get_ident():
            raise EngineError(
                "This session is busy.",
                "An answer of it is still open in this thread.",
                "Read it to its end, or close it.",
            )

    def take(self, stream: Callable[[], Stream[Any] | None] = lambda: None) -> None:
        """Wait for the turn; `stream` is a weak reference to the one that takes it, if it is a stream."""
        self.check()
        self._lock.acquire()
        self._owner = threading.get_ident()
        self._stream = stream

    def take_now(self) -> bool:
        """Take the turn if it is free."""
        if not self._lock.acquire(blocking=False):
            return False
        self._owner = threading.get_ident()
        return True

    def leave(self) -> None:
        """Whoever waits may have it."""
        self._owner = None
        self._lock.release()

    def end_stream(self) -> None:
        """Close the stream that has the turn, whichever thread has opened it."""
        stream = self._stream()
        if stream is not None:
            stream.break_off()

    def __enter__(self) -> None:
        self.take()

    def __exit__(self, *_: object) -> None:
        self.leave()


class Stream(Generic[T]):
    """An iterator that takes the turn at its first item and leaves it when it ends, is closed or is forgotten.

    :param items: makes the items; called when the first is asked for.
    :param cancel: stops the engine, from any thread, where it computes an item.
    """

    def __init__(self, turn: Turn, items: Callable[[], Iterator[T]], cancel: Callable[[], None]) -> None:
        self._items = _in_turn(turn, items, weakref.ref(self))
        self._cancel = cancel
        self._ended = self._broken_off = False

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        """Raises EngineError where the session was closed before the last item: what came is not all."""
        try:
            return next(self._items)
        except StopIteration:
            self._ended = True
            if self._broken_off:
                raise EngineError("This session was closed.", "Its stream was not at its end.", "") from None
            raise

    def break_off(self) -> None:
        """Close it for its session's sake: its reader is told."""
        self._broken_off = not self._ended
        self.close()

    def close(self) -> None:
        """Free the session at once; from another thread, as soon as the engine stops."""
        try:
            self._items.close()
        except ValueError:  # "generator already executing"
            self._cancel()


def _in_turn(turn: Turn, items: Callable[[], Iterator[T]], stream: Callable[[], Stream[T] | None]) -> Generator[T]:
    turn.take(stream)
    try:
        yield from items()
    finally:
        turn.leave()
