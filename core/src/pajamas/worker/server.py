"""The child side of a worker: loads one session and serves calls on it until the client closes it or goes away.

The session is loaded and used in the main thread, where some engines must be; with `Feature.PARALLEL` every call has a
thread of its own. Another thread reads the pipe, and answers pings from there while the engine computes.
"""

from __future__ import annotations

import os
import signal
import threading
from queue import SimpleQueue

from pajamas.errors import EngineError
from pajamas.plugin_entries import core_version
from pajamas.plugins import PluginHost
from pajamas.types import Feature, Session
from pajamas.worker.blocks import BlockWriter
from pajamas.worker.lane import Lane, failure
from pajamas.worker.outbox import Outbox
from pajamas.worker.protocol import (
    PROTOCOL,
    Call,
    Cancel,
    Close,
    Credit,
    Facts,
    FrameBuffer,
    Hello,
    Load,
    Message,
    Ping,
    Pong,
    Ready,
    Taken,
    decode,
    encode,
)

_CHUNK = 2**16


class Server:
    """Args are file descriptors: to read requests from, to write answers to, and of the shared block file."""

    def __init__(self, requests: int, answers: int, blocks: int) -> None:
        self._requests = requests
        self._blocks = BlockWriter(blocks)
        self._outbox = Outbox(answers, _end_group)
        self._loads: SimpleQueue[Load] = SimpleQueue()
        self._session: Session
        self._main: Lane | None = None
        self._parallel = False
        self._lanes: dict[int, Lane] = {}
        self._threads: set[threading.Thread] = set()

    def run(self) -> None:
        self._send(Hello(protocol=PROTOCOL, version=core_version()))
        threading.Thread(target=self._read, name="pajamas-requests", daemon=True).start()
        load = self._loads.get()
        try:
            session = PluginHost().backend(load.backend).load(load.artifact, load.options)
            ready = Ready(facts=_facts(session))
        except BaseException as error:  # all of them: the client waits for an answer and must get it
            self._send(failure(0, error))
            return
        self._parallel = Feature.PARALLEL in session.features
        self._main = Lane(session, self._blocks, self._outbox)
        self._session = session
        signal.signal(signal.SIGINT, self._main.handle_interrupt)
        self._send(ready)
        self._main.serve()
        for thread in list(self._threads):
            thread.join()
        session.close()

    def _read(self) -> None:
        """The only reader of the pipe. At its end the client is gone, and so is this process, whatever it computes."""
        frames = FrameBuffer()
        try:
            while data := os.read(self._requests, _CHUNK):
                for payload in frames.feed(data):
                    self._take(decode(payload))
        except BaseException as error:
            os.write(2, f"pajamas.worker: {error}\n".encode(errors="replace"))
            os._exit(1)
        _end_group()

    def _take(self, message: Message) -> None:
        if isinstance(message, Ping):
            self._send(Pong())
        elif isinstance(message, Taken):
            self._blocks.taken()
        elif isinstance(message, Load):
            self._loads.put(message)
        elif self._main is None:
            raise EngineError(f"{type(message).__name__} came before the session was ready.")
        elif isinstance(message, Call):
            self._lane_for(message).inbox.put(message)
        elif isinstance(message, Credit | Cancel):
            lane = self._lanes.get(message.id) if self._parallel else self._main
            if lane is None:
                pass  # the call has ended meanwhile
            elif isinstance(message, Credit):
                lane.inbox.put(message)
            else:
                lane.cancel(message)
        elif isinstance(message, Close):
            for lane in [*list(self._lanes.values()), self._main]:
                lane.cancel(None)
        else:
            raise EngineError(f"{type(message).__name__} is for the client.")

    def _lane_for(self, call: Call) -> Lane:
        assert self._main is not None
        if not self._parallel:
            return self._main
        lane = self._lanes[call.id] = Lane(self._session, self._blocks, self._outbox)
        thread = threading.Thread(target=self._serve_once, args=(call.id, lane), name=f"pajamas-call-{call.id}")
        self._threads.add(thread)
        thread.start()
        return lane

    def _serve_once(self, id: int, lane: Lane) -> None:
        lane.serve(once=True)
        self._lanes.pop(id, None)
        self._threads.discard(threading.current_thread())

    def _send(self, message: Message) -> None:
        self._outbox.send(encode(message))


def _facts(session: Session) -> Facts:
    return Facts(
        backend=session.backend,
        architecture=session.architecture,
        context_length=session.context_length,
        features=session.features,
        memory=session.memory,
        chat_template=session.chat_template,
        special_tokens=session.special_tokens,
        default_sampling=session.default_sampling,
    )


def _end_group() -> None:
    """End this process and what the engine started, such as engine processes of its own."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
