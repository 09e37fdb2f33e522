"""A channel for programs with an event loop: the loop itself reads and writes the worker's pipes.

Between processors that an engine keeps busy each thread that must be woken costs a millisecond or more.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from pajamas.errors import PajamasError
from pajamas.worker.channel import KILL_SECONDS, Channel, Inbox
from pajamas.worker.process import DRAIN_SECONDS, WorkerProcess
from pajamas.worker.protocol import Close

_CHUNK = 2**16
_LOOK_SECONDS = 0.005


class LoopChannel(Channel):
    """Made and used in one event loop. Args are those of `Channel`."""

    def __init__(
        self,
        process: WorkerProcess,
        backend: str,
        *,
        heartbeat: float,
        patience: float,
        inbox: Inbox | None = None,
    ) -> None:
        super().__init__(process, backend, heartbeat=heartbeat, patience=patience, inbox=inbox)
        self._loop = asyncio.get_running_loop()
        self._unsent = bytearray()
        self._reading = True
        self._ended = asyncio.Event()
        """Everybody has been told that the process is gone."""
        self._ending: asyncio.Task[None] | None = None
        os.set_blocking(process.requests, False)
        os.set_blocking(process.answers, False)
        self._loop.add_reader(process.answers, self._readable)
        self._heard = False
        self._timer = self._loop.call_later(heartbeat, self._look)

    @property
    def dead(self) -> bool:
        return not self._reading

    async def close(self, grace: float) -> None:
        """Let the worker close its session and exit; kill it if that takes more than `grace` seconds."""
        self._closing = True
        self.send(Close())
        try:
            async with asyncio.timeout(grace):
                await self._ended.wait()
        except TimeoutError:
            pass
        finally:
            await self.kill()

    async def kill(self) -> None:
        self._closing = True
        self.process.kill()
        self._stop(None)  # a process that the engine has left behind may hold the pipe open
        await self._ended.wait()

    def _post(self, frame: bytes) -> None:
        if not self._reading:
            return
        if self._unsent:
            self._unsent += frame
            return
        self._unsent += frame[self._write(frame) :]
        if self._unsent:
            self._loop.add_writer(self.process.requests, self._writable)

    def _write(self, data: bytes | bytearray) -> int:
        try:
            return os.write(self.process.requests, data)
        except BlockingIOError:
            return 0
        except BrokenPipeError:
            return len(data)  # the other pipe's end says so too

    def _writable(self) -> None:
        del self._unsent[: self._write(self._unsent)]
        if not self._unsent:
            self._loop.remove_writer(self.process.requests)

    def _readable(self) -> None:
        self._heard = True
        try:
            data = os.read(self.process.answers, _CHUNK)
            self._came(data)
        except BlockingIOError:
            return
        except Exception as broken:  # all of them: callers wait for this one's word
            self._stop(self._broken(broken))
        else:
            if not data:
                self._stop(None)

    def _look(self) -> None:
        """Every heartbeat."""
        error = None
        if not self._heard:
            if self.process.exited.is_set():
                self._stop(None)  # a process that the engine has left behind holds the pipe open
            elif error := self._heard_nothing():
                self._stop(error)
        self._heard = False
        if self._reading:
            self._timer = self._loop.call_later(self._heartbeat, self._look)

    def _stop(self, error: PajamasError | None) -> None:
        """Nothing more is read or written."""
        if not self._reading:
            return
        self._reading = False
        self._timer.cancel()
        self._loop.remove_reader(self.process.answers)
        if self._unsent:
            self._loop.remove_writer(self.process.requests)
        for descriptor in (self.process.requests, self.process.answers, self.process.blocks):
            os.close(descriptor)
        self.process.kill()
        self._ending = asyncio.ensure_future(self._tell(error))

    async def _tell(self, error: PajamasError | None) -> None:
        # No thread: this must go on whatever holds the program's threads up.
        await self._until(self.process.exited.is_set, KILL_SECONDS)
        if error is None and self._verdict is None and not self._closing:
            await self._until(lambda: self.process.drained, DRAIN_SECONDS)
            error = self._crash()
        self._end(error)
        self._ended.set()

    async def _until(self, condition: Callable[[], bool], seconds: float) -> None:
        end = self._loop.time() + seconds
        while not condition() and self._loop.time() < end:
            await asyncio.sleep(_LOOK_SECONDS)
