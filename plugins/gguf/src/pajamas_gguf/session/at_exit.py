"""Sessions that are open when the interpreter exits, in whose engine a daemon thread may be computing.

The memory of contexts and models is freed then (GPU backends want it), which must not happen under such a thread.
"""

from __future__ import annotations

import atexit
import os
import weakref
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pajamas.batching.turns import Turns
    from pajamas_gguf.session.context import Context
    from pajamas_gguf.session.model import Model


class Open(Protocol):
    """What can be stopped for good."""

    def stop(self) -> None:
        """End what is being computed, and compute nothing any more. It must not wait for this thread."""


_open: weakref.WeakSet[Open] = weakref.WeakSet()
_registered = False


def stop_at_exit(session: Open) -> None:
    """Call its `stop` at exit, before any finalizer that exists by now."""
    global _registered
    if not _registered:  # after the finalizers', which are registered with the first of them: the last one goes first
        atexit.register(_stop_all)
        _registered = True
    _open.add(session)


def leave_to_finalizers(process: int, turns: Turns, contexts: list[Context], model: Model) -> None:
    """Wait for the step that is being computed, and let none follow it; in a fork, free nothing.

    :param process: the id of the one that has loaded the model. A fork has no thread that would end the step.
    """
    if process != os.getpid():
        for one in contexts:
            one.close.atexit = False
        model.close.atexit = False
        return
    for one in contexts:
        one.cancelled = True
    turns.take()


def _stop_all() -> None:
    for session in list(_open):
        session.stop()
