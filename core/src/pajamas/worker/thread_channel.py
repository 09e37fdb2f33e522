"""A channel for programs without an event loop: one thread reads the worker's pipe, another writes to it."""

from __future__ import annotations

import os
import select
import threading
from queue import SimpleQueue

from pajamas.errors import PajamasError
from pajamas.worker.channel import KILL_SECONDS, Channel, Inbox
from pajamas.worker.process import WorkerProcess
from pajamas.worker.protocol import Close

_CHUNK = 2**16


class ThreadChannel(Channel):
    """Args are those of `Channel`."""

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
        self._outbox: SimpleQueue[bytes | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=target, name=f"pajamas-worker-{name}", daemon=True)
            for name, target in (("reader", self._read), ("writer", self._write))
        ]
        for thread in self._threads:
            thread.start()

    def close(self, grace: float) -> None:
        """Let the worker close its session and exit; kill it if that takes more than `grace` seconds."""
        self._closing = True
        self.send(Close())
        try:
            self.process.exited.wait(grace)
        finally:
            self.kill()

    def kill(self) -> None:
        self._closing = True
        self.process.kill()
        self.process.exited.wait(KILL_SECONDS)
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(KILL_SECONDS)

    def _post(self, frame: bytes) -> None:
        self._outbox.put(frame)

    def _write(self) -> None:
        try:
            while (frame := self._outbox.get()) is not None:
                data = memoryview(frame)
                while data:
                    data = data[os.write(self.process.requests, data) :]
        except BrokenPipeError:
            pass  # the reader learns of the death by itself, and says so
        finally:
            os.close(self.process.requests)

    def _read(self) -> None:
        try:
            error = self._receive()
        except Exception as broken:  # all of them: callers wait for this thread's word
            error = self._broken(broken)
        finally:
            os.close(self.process.answers)
            os.close(self.process.blocks)
        self.process.kill()
        self.process.exited.wait(KILL_SECONDS)
        if error is None and self._verdict is None and not self._closing:
            self.process.drain()
        self._end(error)
        self._outbox.put(None)

    def _receive(self) -> PajamasError | None:
        """Hand out what comes until the pipe ends; the error if that is not how it ends."""
        poll = select.poll()
        poll.register(self.process.answers, select.POLLIN)
        while True:
            if poll.poll(self._heartbeat * 1000):
                data = os.read(self.process.answers, _CHUNK)
                if not data:
                    return None
                self._came(data)
            elif self.process.exited.is_set():
                return None  # a process that the engine has left behind holds the pipe open
            elif error := self._heard_nothing():
                return error
