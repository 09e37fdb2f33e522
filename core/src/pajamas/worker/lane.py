"""One line of work on a session in the worker: calls wait here for their turn, streams run here under flow control."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any

from attrs import define

from pajamas.errors import PajamasError
from pajamas.types import GenerateRequest, Session
from pajamas.worker.blocks import BlockWriter
from pajamas.worker.outbox import Outbox
from pajamas.worker.protocol import (
    BESIDE_A_STREAM,
    Call,
    Cancel,
    Credit,
    End,
    Failure,
    Item,
    encode,
    encode_chunk,
    from_json,
    to_json,
)

INTERRUPT_SECONDS = 0.1
"""How long a step may go on after its stream was cancelled: an ordinary one ends by itself and is not disturbed."""


@define
class _Stream:
    id: int
    frames: Iterator[bytes]
    credit: int
    delay: float
    """Seconds that the next item may be held back."""
    later: float
    """The same for those after it."""


class Lane:
    """Runs one exclusive call at a time, in the thread that calls `serve`; the others wait in order."""

    def __init__(self, session: Session, blocks: BlockWriter, outbox: Outbox) -> None:
        self.inbox: SimpleQueue[Call | Credit | Cancel | None] = SimpleQueue()
        """None ends the lane."""
        self._session = session
        self._blocks = blocks
        self._outbox = outbox
        self._waiting: deque[Call] = deque()
        self._stream: _Stream | None = None
        self._inner: Iterator[Any] | None = None
        """The session's own stream."""
        self._computing = False
        self._interrupted: _Stream | None = None
        self._thread = threading.current_thread()

    def cancel(self, message: Cancel | None) -> None:
        """From another thread: end one call or (None) the lane, also in the middle of a long step such as a prompt.

        A step of the main thread is stopped by what Ctrl-C does, which sessions know how to survive. Elsewhere the
        session is parallel, and its streams can be closed from another thread or (generators) not be stopped.
        """
        self.inbox.put(message)
        stream = self._stream
        if stream is not None and (message is None or message.id == stream.id):
            timer = threading.Timer(INTERRUPT_SECONDS, self._interrupt, (stream,))
            timer.daemon = True
            timer.start()

    def _interrupt(self, stream: _Stream) -> None:
        if self._stream is not stream or not self._computing:
            return
        if self._thread is threading.main_thread():
            self._interrupted = stream
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        elif self._inner is not None:
            with contextlib.suppress(ValueError):  # "generator already executing"
                _close(self._inner)

    def handle_interrupt(self, _number: int, frame: FrameType | None) -> None:
        """The process's handler of SIGINT, which Python runs in the main thread; a signal from elsewhere is ignored."""
        wanted = self._computing and self._stream is not None and self._stream is self._interrupted
        # A session's own handler may call this one, and has no frame to give.
        if wanted and _in_session(frame or sys._getframe(1)):
            self._interrupted = None
            raise KeyboardInterrupt

    def serve(self, *, once: bool = False) -> None:
        """Work until the lane is ended, or (`once`) until its first call is done."""
        self._thread = threading.current_thread()
        while True:
            try:
                message = self.inbox.get(block=self._stream is None or self._stream.credit == 0)
            except Empty:
                self._step()
            else:
                if message is None:
                    self._close_stream()
                    return
                self._take(message)
            if self._stream is None and self._waiting:
                self._start(self._waiting.popleft())
            if once and self._stream is None:
                return

    def _take(self, message: Call | Credit | Cancel) -> None:
        stream = self._stream
        if isinstance(message, Call):
            if stream is None or message.method not in BESIDE_A_STREAM:
                self._waiting.append(message)
            else:
                self._answer_beside(message)
        elif stream is not None and message.id == stream.id:
            if isinstance(message, Credit):
                stream.credit += message.count
            else:
                self._close_stream()
        elif isinstance(message, Cancel):
            self._waiting = deque(call for call in self._waiting if call.id != message.id)

    def _start(self, call: Call) -> None:
        self._stream = _Stream(call.id, self._frames(call), call.window, 0.0, call.delay)

    def _step(self) -> None:
        stream = self._stream
        assert stream is not None
        try:
            self._computing = True
            frame = next(stream.frames, None)
            self._computing = False
            if frame is None:
                self._stream = None
                self._outbox.send(encode(End(id=stream.id)))
            elif stream.delay:
                stream.credit -= 1
                self._outbox.send_soon(frame, stream.delay)
            else:
                stream.credit -= 1
                stream.delay = stream.later
                self._outbox.send(frame)
        except BaseException as error:  # all of them, SystemExit too: the client waits for an answer and must get it
            self._computing = False
            self._close_stream()
            self._outbox.send(encode(failure(stream.id, error)))

    def _answer_beside(self, call: Call) -> None:
        try:
            for frame in list(self._frames(call)):
                self._outbox.send(frame)
            self._outbox.send(encode(End(id=call.id)))
        except BaseException as error:  # as in `_step`
            self._outbox.send(encode(failure(call.id, error)))

    def _close_stream(self) -> None:
        """Closing the generator is what stops the engine and frees the session."""
        stream, self._stream = self._stream, None
        if stream is None:
            return
        try:
            stream.frames.close()  # type: ignore[attr-defined]  # `_frames` is a generator
        except Exception:
            traceback.print_exc(file=sys.stderr)  # nobody waits for this stream any more

    def _frames(self, call: Call) -> Iterator[bytes]:
        """What a call gives, one message each; the session's own stream is closed with this one."""
        values = self._values(call.method, call.arguments)
        try:
            for value in values:
                if call.method == "generate":
                    yield encode_chunk(call.id, value)
                elif call.method in ("score", "embed"):
                    yield encode(Item(id=call.id, block=self._blocks.write(value)))
                else:
                    yield encode(Item(id=call.id, value=to_json(value)))
        finally:
            values.close()  # type: ignore[attr-defined]  # a generator

    def _values(self, method: str, arguments: Any) -> Iterator[Any]:
        session = self._session
        if method == "generate":
            yield from self._closing(session.generate(from_json(arguments["request"], GenerateRequest)))
        elif method == "score":
            token_ids = from_json(arguments["token_ids"], list[int])
            yield from self._closing(session.score(token_ids, first=int(arguments["first"])))
        elif method == "embed":
            yield session.embed(from_json(arguments["texts"], list[str]))
        elif method == "tokenize":
            yield session.tokenize(
                arguments["text"], add_special=arguments["add_special"], parse_special=arguments["parse_special"]
            )
        elif method == "detokenize":
            yield session.detokenize(from_json(arguments["token_ids"], list[int]))
        elif method == "save_prompt_cache":
            session.save_prompt_cache(Path(arguments["path"]))
            yield None
        elif method == "load_prompt_cache":
            yield session.load_prompt_cache(Path(arguments["path"]))

    def _closing(self, stream: Iterator[Any]) -> Iterator[Any]:
        """`stream`, closed when it is left."""
        self._inner = stream
        try:
            yield from stream
        finally:
            self._inner = None
            _close(stream)


def _in_session(frame: FrameType) -> bool:
    """Whether it is the session's code that would be interrupted. This package's own must not be: a block that is
    written and not sent would never be taken."""
    inner: FrameType | None = frame
    while inner is not None and not inner.f_globals.get("__name__", "").startswith(__package__ or ""):
        inner = inner.f_back
    callers = (Lane._values.__code__, Lane._closing.__code__)
    return inner is not None and inner is not frame and inner.f_code in callers


def failure(id: int, error: BaseException) -> Failure:
    """What the client needs to raise `error` on its side."""
    if isinstance(error, PajamasError):
        return Failure(id=id, error=type(error).__name__, what=error.what, why=error.why, fix=error.fix)
    return Failure(
        id=id,
        error="EngineError",
        what="The backend failed in its worker process.",
        why=f"{type(error).__name__}: {error}",
        fix="This is a fault in the backend; its traceback is in the log.",
        trace="".join(traceback.format_exception(error)),
    )


def _close(stream: Iterator[Any]) -> None:
    """An iterator need not have `close`."""
    if close := getattr(stream, "close", None):
        close()
