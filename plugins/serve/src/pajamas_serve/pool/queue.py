"""Requests that wait for a slot, in order of arrival."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from attrs import define

from pajamas.errors import PajamasError
from pajamas_serve.errors import copied
from pajamas_serve.pool.beginnings import Marks
from pajamas_serve.pool.member import Member


@define(eq=False)
class Entry:
    """One request that waits."""

    future: asyncio.Future[Member]
    since: float
    prompt: Marks = ()


class Queue:
    """First come, first served; one that has left is passed over."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()

    def __len__(self) -> int:
        return len(self._entries)

    def oldest_wait(self, now: float) -> float:
        """Seconds that the first one has waited."""
        return now - self._entries[0].since if self._entries else 0.0

    def join(self, now: float, prompt: Marks = ()) -> Entry:
        entry = Entry(asyncio.get_running_loop().create_future(), now, prompt)
        self._entries.append(entry)
        return entry

    def leave(self, entry: Entry) -> Member | None:
        """Its request has gone; the member whose slot it was given meanwhile, if any."""
        if entry in self._entries:
            self._entries.remove(entry)
        done = entry.future.done() and not entry.future.cancelled() and entry.future.exception() is None
        return entry.future.result() if done else None

    def serve(self, choose: Callable[[Marks], Member | None], now: float) -> None:
        """Give slots to those who still wait, first come first, as long as `choose` finds one for their prompts."""
        while self._entries:
            entry = self._entries[0]
            if not entry.future.done():
                member = choose(entry.prompt)
                if member is None:
                    return
                member.take(entry.prompt, now)
                entry.future.set_result(member)
            self._entries.popleft()

    def refuse(self, error: PajamasError, before: float = float("inf")) -> None:
        """Fail those that came before that time."""
        while self._entries and self._entries[0].since < before:
            entry = self._entries.popleft()
            if not entry.future.done():
                entry.future.set_exception(copied(error))
