"""A circuit breaker: after repeated failures it refuses for a while, then lets one request through to see."""

from __future__ import annotations

from collections import deque
from enum import StrEnum


class State(StrEnum):
    CLOSED = "closed"
    """All is well."""
    OPEN = "open"
    """Everything is refused."""
    HALF_OPEN = "half_open"
    """One request probes."""


_LONGEST_PAUSE = 300.0


class Breaker:
    """Every method takes the time, in seconds of any steady clock, so that a test needs no patience.

    Args:
        failures: so many within `window` seconds open it.
        pause: how long it stays open; doubled each time that the probe fails.
    """

    def __init__(self, failures: int, window: float, pause: float) -> None:
        self._limit = failures
        self._window = window
        self._first_pause = self._pause = pause
        self._failures: deque[float] = deque()
        self._opened: float | None = None
        self._probing = False

    def state(self, now: float) -> State:
        if self._opened is None:
            return State.CLOSED
        return State.HALF_OPEN if now >= self._opened + self._pause else State.OPEN

    def retry_after(self, now: float) -> float:
        """Seconds until it is worth asking again; 0 where a request would pass."""
        match self.state(now):
            case State.CLOSED:
                return 0.0
            case State.OPEN:
                assert self._opened is not None
                return self._opened + self._pause - now
        return self._first_pause if self._probing else 0.0

    def admit(self, now: float) -> bool:
        """Whether a request may pass. The first one in the half-open state is the probe; report how it ended."""
        match self.state(now):
            case State.CLOSED:
                return True
            case State.OPEN:
                return False
        if self._probing:
            return False
        self._probing = True
        return True

    def succeeded(self) -> None:
        """The probe's answer came to its end."""
        self._failures.clear()
        self._opened, self._probing, self._pause = None, False, self._first_pause

    def abandoned(self) -> None:
        """The probe ended and said nothing: its client left. The next request probes."""
        self._probing = False

    def failed(self, now: float) -> None:
        """A worker died, hung or could not be loaded."""
        self._failures.append(now)
        while self._failures and self._failures[0] <= now - self._window:
            self._failures.popleft()
        state = self.state(now)
        if state is State.HALF_OPEN:
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)
            self._opened, self._probing = now, False
        elif state is State.CLOSED and len(self._failures) >= self._limit:
            self._opened = now
