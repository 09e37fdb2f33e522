"""How long to wait before a worker is started again after one has failed."""

from __future__ import annotations

_FIRST = 0.25
_LONGEST = 30.0
_FORGET = 60.0
"""After so long without a failure the next one counts as the first."""


class Backoff:
    """The first restart is at once, the next after 0.25 s, then twice that each time. The time is passed in."""

    def __init__(self) -> None:
        self._count = 0
        self._last = float("-inf")

    def failed(self, now: float) -> None:
        if now - self._last > _FORGET + self._pause():
            self._count = 0
        self._count += 1
        self._last = now

    def wait(self, now: float) -> float:
        """Seconds until a worker may be started."""
        return max(0.0, self._last + self._pause() - now)

    def _pause(self) -> float:
        return 0.0 if self._count < 2 else min(_FIRST * 2 ** (self._count - 2), _LONGEST)
