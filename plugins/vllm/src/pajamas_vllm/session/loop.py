"""An event loop in a thread of its own: vLLM's engine is asynchronous, and sessions are not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from pajamas.errors import EngineError

T = TypeVar("T")


class EventLoop:
    """Runs until it is stopped; the thread dies with the process."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="vllm", daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run it in the loop's thread; to cancel the future cancels it.

        Raises:
            EngineError: the loop was stopped.
        """
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError as error:  # "Event loop is closed"
            work.close()
            raise EngineError("This session is closed.", "Its model is no longer in memory.", "") from error

    def call(self, function: Callable[[], object]) -> None:
        """Call it soon in the loop's thread. Takes no lock; once the loop is stopped it does nothing."""
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:  # the loop is closed: with it has ended whatever was to be told
            return

    def stop(self) -> None:
        """End the thread; what still runs is cancelled."""
        self.call(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
            self._loop.run_until_complete(asyncio.sleep(0))
        finally:
            self._loop.close()
