"""Whose turn it is: one thread at a time, in the order in which they came."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable


class Turns:
    """A fair lock. One may also stop to wait for it when what it was wanted for has been done by others."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._taken = False
        self._waiters: deque[_Waiter] = deque()

    @property
    def wanted(self) -> bool:
        """Whether another thread waits."""
        return bool(self._waiters)

    def take(self, unless: Callable[[], bool] = lambda: False) -> bool:
        """Wait for the turn. False, and no turn, as soon as `unless` holds; who makes it true calls `wake`."""
        with self._mutex:
            if unless():
                return False
            if not self._taken:
                self._taken = True
                return True
            waiter = _Waiter(self._mutex, unless)
            self._waiters.append(waiter)
            try:
                while not waiter.told:
                    waiter.condition.wait()
            except BaseException:  # Ctrl-C
                if waiter.granted:
                    self._pass_on()
                elif not waiter.told:
                    self._waiters.remove(waiter)
                raise
            return waiter.granted

    def take_now(self) -> bool:
        """Take the turn if it is free."""
        with self._mutex:
            free = not self._taken
            self._taken = True
            return free

    def leave(self) -> None:
        with self._mutex:
            self._pass_on()

    def wake(self) -> None:
        """Send those away who need not wait any more."""
        if self._waiters:
            with self._mutex:
                self._dismiss()

    def _dismiss(self) -> None:
        for waiter in [waiter for waiter in self._waiters if waiter.unless()]:
            self._waiters.remove(waiter)
            waiter.tell(granted=False)

    def _pass_on(self) -> None:
        self._dismiss()
        if self._waiters:
            self._waiters.popleft().tell(granted=True)
        else:
            self._taken = False

    def __enter__(self) -> None:
        self.take()

    def __exit__(self, *_: object) -> None:
        self.leave()


class _Waiter:
    __slots__ = ("condition", "granted", "told", "unless")

    def __init__(self, mutex: threading.Lock, unless: Callable[[], bool]) -> None:
        self.condition = threading.Condition(mutex)
        self.unless = unless
        self.told = self.granted = False

    def tell(self, *, granted: bool) -> None:
        self.told, self.granted = True, granted
        self.condition.notify()
