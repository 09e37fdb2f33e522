"""Arrays between a worker and its client: through a shared file without a name, not through the pipe.

The file is memory (memfd) on Linux and an unlinked temporary file elsewhere. It goes away with the last process that
has it open, however that one ends, so nothing can be left behind. One array lies in it at a time: the worker writes,
says so by an `Item`, and waits for `Taken` before it writes the next, so that it computes while the client copies.
"""

from __future__ import annotations

import math
import os
import tempfile
import threading
from typing import TYPE_CHECKING

from pajamas.errors import EngineError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_ITEM = 4
_MOST = 2**30
"""Bytes in one system call; Linux moves no more than 2 GiB - 4096."""


def create_block_file() -> int:
    """A file descriptor, not inheritable, of an empty file that has no name."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("pajamas-blocks")
    with tempfile.TemporaryFile(prefix="pajamas-") as file:
        return os.dup(file.fileno())


class BlockWriter:
    """The worker's end."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._free = threading.Semaphore(1)

    def write(self, array: NDArray[np.float32]) -> tuple[int, ...]:
        """Put `array` into the file once the client has taken the one before, and return its shape.

        Raises:
            EngineError: the array is not float32 of two dimensions, or there is no memory for it.
        """
        import numpy as np

        if array.dtype != np.float32 or array.ndim != 2:
            raise EngineError(
                f"The backend gave an array of {array.dtype}, shape {array.shape}.",
                "It must be float32 of two dimensions.",
            )
        self._free.acquire()
        try:
            if array.size:
                self._put(np.ascontiguousarray(array).data.cast("B"))
        except OSError as error:
            self._free.release()
            raise EngineError(f"There is no room for a block of {array.nbytes} bytes.", str(error)) from error
        return array.shape

    def taken(self) -> None:
        self._free.release()

    def _put(self, data: memoryview) -> None:
        done = 0
        while done < len(data):
            done += os.pwrite(self._descriptor, data[done : done + _MOST], done)


def read_block(descriptor: int, shape: tuple[int, ...]) -> bytearray:
    """A copy of the float32 array of that shape that lies in the file.

    Raises:
        EngineError: the shape is not that of an array in this file.
    """
    size = math.prod(shape) * _ITEM
    if len(shape) != 2 or min(shape) < 0 or size > os.fstat(descriptor).st_size:
        raise EngineError(
            f"The worker says it wrote an array of shape {shape}.", "Its block file is smaller than that."
        )
    data = bytearray(size)
    view = memoryview(data)
    done = 0
    while done < size:
        count = os.preadv(descriptor, [view[done : done + _MOST]], done)
        if not count:
            raise EngineError("The worker cut its block file short.", f"{done} of {size} bytes could be read.")
        done += count
    return data
