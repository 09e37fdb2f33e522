"""Who holds how much memory: nothing is loaded that was not reserved before, and nothing is free before it is gone."""

from __future__ import annotations

from enum import StrEnum

from attrs import define


class Stage(StrEnum):
    LOADING = "loading"
    """Predicted; the system does not see all of it yet."""
    LOADED = "loaded"
    RELEASING = "releasing"
    """Its process was told to end, and still holds it."""


@define
class Entry:
    size: int
    stage: Stage


class Ledger:
    """Reservations in bytes, by the key of their worker.

    Args:
        limit: of all reservations together.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._entries: dict[object, Entry] = {}

    @property
    def reserved(self) -> int:
        return sum(entry.size for entry in self._entries.values())

    def size_of(self, key: object) -> int:
        """Bytes that are reserved for it."""
        entry = self._entries.get(key)
        return entry.size if entry else 0

    def at(self, stage: Stage) -> int:
        """Bytes at that stage."""
        return sum(entry.size for entry in self._entries.values() if entry.stage is stage)

    def shortage(self, size: int, available: int) -> int:
        """Bytes that are missing to load `size` more; 0 if it fits.

        Args:
            available: what the system has free now. Loads under way have not taken theirs yet: they count too.
        """
        by_limit = self.reserved + size - self.limit
        by_system = self.at(Stage.LOADING) + size - available
        return max(0, by_limit, by_system)

    def reserve(self, key: object, size: int) -> None:
        """Before a load; look at `shortage` first."""
        self._entries[key] = Entry(size, Stage.LOADING)

    def loaded(self, key: object, size: int) -> None:
        """The load is done, and this is what it took."""
        self._entries[key] = Entry(size, Stage.LOADED)

    def releasing(self, key: object) -> None:
        if entry := self._entries.get(key):
            entry.stage = Stage.RELEASING

    def released(self, key: object) -> int:
        """The process is gone; the bytes that are free now."""
        entry = self._entries.pop(key, None)
        return entry.size if entry else 0
