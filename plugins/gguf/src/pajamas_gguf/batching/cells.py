"""Which cells of the key/value cache are taken: a mirror of the engine's own book, which it shows to nobody."""

from __future__ import annotations

from collections.abc import Sequence


class Cells:
    """A token lies in one cell, whichever sequences it belongs to."""

    def __init__(self, count: int) -> None:
        self._free = list(range(count))
        self._owners = [0] * count

    @property
    def free(self) -> int:
        """How many are not taken."""
        return len(self._free)

    def take(self, count: int) -> list[int]:
        """So many free ones, which there must be."""
        taken = self._free[len(self._free) - count :]
        del self._free[len(self._free) - count :]
        for cell in taken:
            self._owners[cell] = 1
        return taken

    def share(self, cells: Sequence[int]) -> None:
        """One more sequence has these."""
        for cell in cells:
            self._owners[cell] += 1

    def leave(self, cells: Sequence[int]) -> None:
        """One sequence less has these; the last one frees them."""
        owners = self._owners
        for cell in cells:
            owners[cell] -= 1
            if not owners[cell]:
                self._free.append(cell)

    def freed_by(self, cells: Sequence[int]) -> int:
        """How many would be free if a sequence left these."""
        return sum(self._owners[cell] == 1 for cell in cells)
