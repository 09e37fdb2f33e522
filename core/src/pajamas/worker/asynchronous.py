"""A session in a worker process for a program that has an event loop: nothing here waits in a thread of its own."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from pajamas.errors import EngineError, PajamasError
from pajamas.types import Artifact, Chunk, GenerateRequest, LoadOptions
from pajamas.worker.background import in_background
from pajamas.worker.channel import Answer, Block, Reply, Waiter, check_version, checked
from pajamas.worker.client import BLOCKS_AHEAD, CLOSE_SECONDS, HEARTBEAT, PATIENCE
from pajamas.worker.loop_channel import LoopChannel
from pajamas.worker.process import WorkerProcess
from pajamas.worker.protocol import Credit, End, Facts, Item, Load, Ready, chunk_of, from_json, to_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T")

TOGETHER = 0.025
"""Seconds in which a fast model's tokens are put together. Nobody reads more than forty changes a second."""

UNLIMITED = 2**31
"""Items ahead: the worker never waits for whoever reads an answer, and its slot is free as soon as it is computed."""


class LoopInbox:
    """Answers for one task of the event loop that made this.

    Args:
        on_end: called in the loop as soon as the last answer is there, taken or not, with whether the call succeeded.
    """

    def __init__(self, on_end: Callable[[bool], None] | None = None) -> None:
        self._on_end = on_end
        self._answers: deque[Answer] = deque()
        self._arrived = asyncio.Event()

    def put(self, answer: Answer, /) -> None:
        self._answers.append(answer)
        self._arrived.set()
        if self._on_end is not None and not isinstance(answer, Item | Block):
            on_end, self._on_end = self._on_end, None
            asyncio.get_running_loop().call_soon(on_end, isinstance(answer, End))

    def get(self) -> Answer:
        raise NotImplementedError("an event loop does not wait; use `wait`")

    async def wait(self) -> Answer:
        while not self._answers:
            self._arrived.clear()
            await self._arrived.wait()
        return self._answers.popleft()

    def pop(self) -> Answer | None:
        """What is there already."""
        return self._answers.popleft() if self._answers else None


class AsyncWorker:
    """A session in a child process, whose methods are called from one event loop.

    Every method raises what the session inside raises, `EngineCrashed` once the process died or was killed for hanging,
    and `EngineError` once it is closed.

    Args:
        on_exit: called in the event loop when the process is gone, with the reason.
    """

    def __init__(self, channel: LoopChannel, inbox: LoopInbox, on_exit: Callable[[PajamasError], None] | None) -> None:
        self._channel = channel
        self._inbox = inbox
        self._on_exit = on_exit
        self._watch: asyncio.Task[None] | None = None
        self.facts: Facts
        """What the session says of itself: as it was when it was loaded."""

    @classmethod
    async def start(
        cls,
        backend: str,
        artifact: Artifact,
        options: LoadOptions,
        *,
        python: str | Path | None = None,
        heartbeat: float = HEARTBEAT,
        patience: float = PATIENCE,
        on_exit: Callable[[PajamasError], None] | None = None,
    ) -> AsyncWorker:
        """Load `artifact` in a new worker process; a task that is cancelled meanwhile takes the process along.

        Args and errors are those of `WorkerSession.start`.
        """
        inbox = LoopInbox()
        starting = asyncio.ensure_future(
            in_background(lambda: WorkerProcess(Path(python or sys.executable)), "pajamas-worker-start")
        )
        try:
            process = await asyncio.shield(starting)
        except asyncio.CancelledError:
            await LoopChannel(await starting, backend, heartbeat=heartbeat, patience=patience).kill()
            raise
        channel = LoopChannel(process, backend, heartbeat=heartbeat, patience=patience, inbox=inbox)
        worker = cls(channel, inbox, on_exit)
        try:
            check_version(checked(await inbox.wait()), channel.process)
            channel.send(Load(backend=backend, artifact=artifact, options=options))
            ready = checked(await inbox.wait())
            if not isinstance(ready, Ready):
                raise EngineError(f"The worker of backend {backend!r} answered out of turn.", repr(ready)[:200])
        except BaseException:
            await asyncio.shield(channel.kill())
            raise
        worker.facts = ready.facts
        worker._watch = asyncio.ensure_future(worker._wait_for_exit())
        return worker

    @property
    def pid(self) -> int:
        return self._channel.process.pid

    @property
    def log(self) -> str:
        """The last of what the worker wrote to its standard output and standard error."""
        return self._channel.process.log

    @property
    def dead(self) -> bool:
        return self._channel.dead

    @property
    def responsive(self) -> bool:
        """Whether it has answered the last ping."""
        return self._channel.responsive

    @property
    def answers(self) -> int:
        """How much has come for calls, taken or not: it grows as long as the engine gets on."""
        return self._channel.answers

    def generate(self, request: GenerateRequest, on_end: Callable[[bool], None] | None = None) -> AsyncStream[Chunk]:
        """A rendered request, as backends take it. The stream is lazy: nothing is sent before it is read.

        Args:
            on_end: called once the worker has nothing more to do for it, though its reader may be behind, with whether
                it came to its end. Not called for a stream that is closed before.
        """
        arguments = {"request": to_json(request)}
        return AsyncStream(self._channel, "generate", arguments, _chunk, UNLIMITED, TOGETHER, on_end)

    def score(self, token_ids: list[int], first: int = 0) -> AsyncStream[NDArray[np.float32]]:
        arguments = {"token_ids": list(token_ids), "first": first}
        return AsyncStream(self._channel, "score", arguments, _block, BLOCKS_AHEAD)

    async def tokenize(self, text: str, *, add_special: bool = True, parse_special: bool = True) -> list[int]:
        arguments: dict[str, object] = {"text": text, "add_special": add_special, "parse_special": parse_special}
        return await self._ask("tokenize", arguments, lambda reply: from_json(_value(reply), list[int]))

    async def detokenize(self, token_ids: list[int]) -> str:
        return await self._ask(
            "detokenize", {"token_ids": list(token_ids)}, lambda reply: from_json(_value(reply), str)
        )

    async def embed(self, texts: list[str]) -> NDArray[np.float32]:
        """One unit vector a text, [len(texts), size]."""
        return await self._ask("embed", {"texts": list(texts)}, _block)

    async def close(self, grace: float = CLOSE_SECONDS) -> None:
        """Let the worker close its session, and kill it if that takes more than `grace` seconds. It is gone after."""
        await asyncio.shield(self._channel.close(grace))

    def condemn(self, error: PajamasError) -> None:
        """Kill it because its owner has lost patience: every caller is told `error`."""
        self._channel.condemn(error)

    async def kill(self) -> None:
        await asyncio.shield(self._channel.kill())

    async def _ask(self, method: str, arguments: dict[str, object], read: Callable[[Reply], T]) -> T:
        stream = AsyncStream(self._channel, method, arguments, read, 2)
        try:
            answers = [answer async for answer in stream]
        finally:
            stream.close()
        if len(answers) != 1:
            raise EngineError(f"The worker gave {len(answers)} answers to {method}.")
        return answers[0]

    async def _wait_for_exit(self) -> None:
        """The loading call is kept open: its last answer is why the process is gone."""
        answer = await self._inbox.wait()
        if self._on_exit is not None and isinstance(answer, PajamasError):
            self._on_exit(answer)


class AsyncStream(Generic[T], AsyncIterator[T]):
    """The answers to one call, which is made when the first is asked for."""

    def __init__(
        self,
        channel: LoopChannel,
        method: str,
        arguments: dict[str, object],
        read: Callable[[Reply], T],
        window: int,
        delay: float = 0.0,
        on_end: Callable[[bool], None] | None = None,
    ) -> None:
        self._channel = channel
        self._delay = delay
        self._method = method
        self._arguments = arguments
        self._read = read
        self._window = window
        self._taken = 0
        self._inbox = LoopInbox(on_end)
        self._waiter: Waiter | None = None
        self._ended = False

    async def __anext__(self) -> T:
        if self._ended:
            raise StopAsyncIteration
        if self._waiter is None:
            self._waiter = self._channel.call(self._method, self._arguments, self._window, self._inbox, self._delay)
        return self._next(await self._inbox.wait())

    def ready(self) -> T | None:
        """The next item if it has arrived, so that several can be handled at once."""
        answer = None if self._ended else self._inbox.pop()
        try:
            return None if answer is None else self._next(answer)
        except StopAsyncIteration:
            return None

    def close(self) -> None:
        """Stop the call, which frees its slot in the worker at once; harmless when it has ended."""
        if not self._ended and self._waiter is not None:
            self._channel.cancel(self._waiter)
        self._ended = True

    def _next(self, answer: Answer) -> T:
        assert self._waiter is not None
        try:
            reply = checked(answer)
            if isinstance(reply, End):
                raise StopAsyncIteration
            item = self._read(reply)
        except (PajamasError, StopAsyncIteration):
            self._ended = True
            self._channel.cancel(self._waiter)  # the worker may not know that it is over, if its answer was none
            raise
        self._taken += 1
        if self._taken * 2 >= self._window:
            self._channel.send(Credit(id=self._waiter.id, count=self._taken))
            self._taken = 0
        return item


def _chunk(reply: Reply) -> Chunk:
    return chunk_of(_value(reply))


def _value(reply: Reply) -> Any:
    if not isinstance(reply, Item):
        raise EngineError("The worker answered out of turn.", repr(reply)[:200])
    return reply.value


def _block(reply: Reply) -> NDArray[np.float32]:
    import numpy as np

    if not isinstance(reply, Block):
        raise EngineError("The worker answered out of turn.", repr(reply)[:200])
    return cast("NDArray[np.float32]", np.frombuffer(reply.data, dtype=np.float32).reshape(reply.shape))
