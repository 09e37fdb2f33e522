"""Whether a model's workers may be started now: what has failed before, and what can never be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pajamas_serve.errors import Unavailable
from pajamas_serve.pool.backoff import Backoff
from pajamas_serve.pool.breaker import Breaker, State

if TYPE_CHECKING:
    from pajamas.errors import NotEnoughMemory, PajamasError
    from pajamas_serve.settings import PoolSettings

_MEMORY_PAUSE = 2.0
"""Seconds before a worker is tried again for which there was no room."""
_MOMENT = 0.1
"""The same where others hold the room who may go at any moment."""


class Starts:
    """Of one pool. The time is passed in.

    Args:
        name: of the model.
    """

    def __init__(self, name: str, settings: PoolSettings) -> None:
        self._name = name
        self.breaker = Breaker(settings.breaker_failures, settings.breaker_window, settings.breaker_pause)
        self.backoff = Backoff()
        self.refused: PajamasError | None = None
        """Why this model can never be loaded for this purpose here."""
        self.short: NotEnoughMemory | None = None
        """Why there was no room the last time."""
        self._no_room_until = 0.0

    def allowed(self, wanted: int, members: int, now: float) -> int:
        """So many of the `wanted` workers may be started now, beside those that are there."""
        if self.refused is not None or self.backoff.wait(now) > 0 or now < self._no_room_until:
            return 0
        match self.breaker.state(now):
            case State.OPEN:
                return 0
            case State.HALF_OPEN:
                return 0 if members else min(wanted, 1)
        return wanted

    def failed(self, now: float) -> None:
        """A worker died, hung or could not be loaded."""
        self.breaker.failed(now)
        self.backoff.failed(now)

    def no_room(self, error: NotEnoughMemory, now: float, *, soon: bool) -> None:
        """Args: soon: others hold the room who may go at any moment."""
        self.short = error
        self._no_room_until = now + (_MOMENT if soon else _MEMORY_PAUSE)

    def refusal(self, now: float) -> Unavailable:
        """What requests are told while the breaker is open."""
        return Unavailable(
            f"The model {self._name!r} fails again and again.",
            "Its circuit breaker is open.",
            "Ask again later.",
            retry_after=max(self.breaker.retry_after(now), 0.1),
        )
