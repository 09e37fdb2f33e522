"""The client's end of a worker's pipes: calls go out, answers come back to who waits, silence and death are seen."""

from __future__ import annotations

import itertools
import logging
from queue import SimpleQueue
from typing import Protocol

from attrs import field, frozen

from pajamas.errors import EngineCrashed, EngineError, EngineMissing, PajamasError, error_class
from pajamas.plugin_entries import core_version
from pajamas.worker.blocks import read_block
from pajamas.worker.process import WorkerProcess
from pajamas.worker.protocol import (
    PROTOCOL,
    Call,
    Cancel,
    End,
    Failure,
    FrameBuffer,
    Hello,
    Item,
    Message,
    Ping,
    Pong,
    Ready,
    Taken,
    decode,
    encode,
)

log = logging.getLogger(__name__)

KILL_SECONDS = 10.0
"""How long a killed process may take to be gone before its exit is no longer waited for."""
_GREETING_SECONDS = 60.0
"""How long a process may take at least to say its first word: a cold disk has to give it its libraries."""


@frozen
class Block:
    """An item that is an array: the bytes of its float32 values, in row-major order."""

    shape: tuple[int, ...]
    data: bytearray


Reply = Hello | Ready | Item | Block | End
Answer = Reply | Failure | PajamasError


class Inbox(Protocol):
    """Where the reader's thread puts what comes for a call; a queue, or what hands it on to an event loop."""

    def put(self, answer: Answer, /) -> None: ...
    def get(self) -> Answer: ...


@frozen(eq=False)
class Waiter:
    """Who waits for the answers to one call."""

    id: int
    inbox: Inbox = field(factory=lambda: SimpleQueue[Answer]())


class Channel:
    """Calls to one worker process; how bytes go out and come in is a subclass's.

    Args:
        process: it belongs to the channel from here on.
        backend: for messages.
        heartbeat: seconds of silence after which the worker is pinged.
        patience: seconds of silence after which it is killed.
        inbox: of what comes while the session is loaded.
    """

    def __init__(
        self,
        process: WorkerProcess,
        backend: str,
        *,
        heartbeat: float,
        patience: float,
        inbox: Inbox | None = None,
    ) -> None:
        self.process = process
        self._backend = backend
        self._heartbeat = heartbeat
        self._patience = patience
        self._ids = itertools.count(1)
        self._greeted = False
        self._closing = False
        self._error: PajamasError | None = None
        self._verdict: PajamasError | None = None
        self._frames = FrameBuffer()
        self._silent = 0.0
        self.answers = 0
        """Items and ends that have come, also for calls that were cancelled."""
        self.loading = Waiter(0) if inbox is None else Waiter(0, inbox)
        self._waiters: dict[int, Waiter] = {0: self.loading}

    @property
    def dead(self) -> bool:
        return self._error is not None

    @property
    def responsive(self) -> bool:
        """Whether it has said something lately, if only that it lives: False once a ping has had no answer."""
        return self._silent <= self._heartbeat

    def send(self, message: Message) -> None:
        """Raises EngineError for a message that cannot be sent; one to a dead worker goes nowhere."""
        self._post(encode(message))

    def _post(self, frame: bytes) -> None:
        raise NotImplementedError

    def call(
        self, method: str, arguments: dict[str, object], window: int, inbox: Inbox | None = None, delay: float = 0.0
    ) -> Waiter:
        """Raises EngineCrashed if the worker is dead, EngineError if it is closed."""
        waiter = Waiter(next(self._ids)) if inbox is None else Waiter(next(self._ids), inbox)
        # Registered before the look at `_error`, which is set before the waiters are told: nobody is left waiting.
        self._waiters[waiter.id] = waiter
        try:
            if self._error is not None:
                raise _again(self._error)
            self.send(Call(id=waiter.id, method=method, arguments=arguments, window=window, delay=delay))  # type: ignore[arg-type]  # one of Call's own names
        except BaseException:
            self.forget(waiter)
            raise
        return waiter

    def cancel(self, waiter: Waiter) -> None:
        if self.forget(waiter):
            self.send(Cancel(id=waiter.id))

    def forget(self, waiter: Waiter) -> bool:
        return self._waiters.pop(waiter.id, None) is not None

    def condemn(self, error: PajamasError) -> None:
        """Kill the worker; whoever waits, and all later calls, are told `error`. Does not wait."""
        self._verdict = error
        self.process.kill()

    def _came(self, data: bytes) -> None:
        """Hand out what the pipe has brought. Raises EngineError for what is no message."""
        self._silent = 0.0
        for payload in self._frames.feed(data):
            self._take(decode(payload))

    def _heard_nothing(self) -> PajamasError | None:
        """Another heartbeat without a word: ask for one, or give the error that it is too many.

        Silence is counted in looks that found nothing, not by the clock: when this process was stopped for an hour, the
        worker has not been silent for an hour.
        """
        self._silent += self._heartbeat
        if self._silent < (self._patience if self._greeted else max(self._patience, _GREETING_SECONDS)):
            self.send(Ping())
            return None
        return EngineCrashed(
            f"The worker of backend {self._backend!r} hung and was killed.",
            f"It gave no sign of life for {self._silent:g} seconds.",
            "Load the model again.",
        )

    def _broken(self, error: Exception) -> PajamasError:
        """What came was no message."""
        return EngineCrashed(
            f"The worker of backend {self._backend!r} does not keep to its protocol and was killed.",
            " ".join(str(error).splitlines()) or type(error).__name__,
            f"Install the same pajamas in {self.process.python}, and load the model again.",
        )

    def _end(self, error: PajamasError | None) -> None:
        """The process is gone; `error` is why, if it is known."""
        if self._closing:
            error = EngineError("The session is closed.", "", "Load the model again.")
        self._error = self._verdict or error or self._crash()
        for waiter in list(self._waiters.values()):
            waiter.inbox.put(_again(self._error))

    def _take(self, message: Message) -> None:
        if isinstance(message, Pong):
            return
        if isinstance(message, Hello | Ready):
            self._greeted = True
            self.loading.inbox.put(message)
        elif isinstance(message, Item | End | Failure):
            self.answers += 1
            waiter = self._waiters.get(message.id)  # None: it was cancelled, and this was on its way
            answer: Answer = message
            if isinstance(message, Item) and message.block is not None:
                if waiter is not None:
                    answer = Block(message.block, read_block(self.process.blocks, message.block))
                self.send(Taken())
            if waiter is not None:
                waiter.inbox.put(answer)
        else:
            raise EngineError(f"{type(message).__name__} is for the worker.")

    def _crash(self) -> PajamasError:
        words = self.process.last_words()
        python = self.process.python
        if not self._greeted and "No module named" in words and "pajamas" in words:
            return EngineMissing(
                f"{python} has no pajamas.",
                words.rpartition(" | ")[2],
                f"{python} -m pip install pajamas=={core_version()}",
            )
        how = self.process.describe_exit() if self.process.exited.is_set() else "closed its pipe"
        if how.endswith("SIGKILL"):
            words = " | ".join(
                filter(None, ("Something outside killed it, often the system for want of memory.", words))
            )
        return EngineCrashed(
            f"The worker of backend {self._backend!r} {how}.",
            words or "It wrote nothing to standard error.",
            "Load the model again; if it happens again, `pajamas doctor` tells what is known of this engine here.",
        )


def _again(error: PajamasError) -> PajamasError:
    """One instance for each who waits: a traceback belongs to one thread."""
    return type(error)(error.what, error.why, error.fix)


def checked(answer: Answer) -> Reply:
    """Raises what the worker, or its death, has to say."""
    if isinstance(answer, PajamasError):
        raise answer
    if isinstance(answer, Failure):
        error = error_class(answer.error)(answer.what, answer.why, answer.fix)
        if answer.trace:
            log.info("The worker's traceback:\n%s", answer.trace)
            error.add_note(answer.trace)
        raise error
    return answer


def check_version(hello: Reply, process: WorkerProcess) -> None:
    """Raises EngineError unless the worker greets, and runs this version of pajamas."""
    if not isinstance(hello, Hello):
        raise EngineError("The worker did not greet.", repr(hello)[:200])
    if hello.protocol != PROTOCOL or hello.version != core_version():
        raise EngineError(
            f"The worker runs pajamas {hello.version}, and this is pajamas {core_version()}.",
            f"They understand each other only in one version (protocol {hello.protocol} and {PROTOCOL}).",
            f"{process.python} -m pip install pajamas=={core_version()}",
        )
