"""A session that lives in a worker process, seen from the outside: the same interface as in-process."""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pajamas.errors import EngineError, PajamasError
from pajamas.types import Architecture, Artifact, Chunk, Feature, GenerateRequest, LoadOptions, MemoryUse, Sampling
from pajamas.worker.channel import Block, Reply, Waiter, check_version, checked
from pajamas.worker.process import WorkerProcess
from pajamas.worker.protocol import (
    BESIDE_A_STREAM,
    Credit,
    End,
    Facts,
    Item,
    Load,
    Ready,
    chunk_of,
    from_json,
    to_json,
)
from pajamas.worker.thread_channel import ThreadChannel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HEARTBEAT = 2.0
PATIENCE = 60.0
CLOSE_SECONDS = 5.0
"""How long a worker may take to close its session by itself."""

CHUNKS_AHEAD = 16
"""Chunks that the worker may compute before the caller has taken them."""
BLOCKS_AHEAD = 2


class WorkerSession:
    """A session in a child process; see `pajamas.types.Session` for the methods.

    Every method raises what the session inside raises, and besides

        EngineCrashed: the process died (the message has the signal and its last words), or hung and was killed. All
            later calls raise it too.
        EngineError: the session is closed; or this thread has a stream open and would wait for itself; or an exception
            that is not a `PajamasError` came out of the backend (the message has its text, the log its traceback).

    Calls from several threads are served side by side if the session inside declares `Feature.PARALLEL`. If it does not
    they wait in order, each until the stream before it has ended or is closed; only `tokenize` and `detokenize` are
    answered in the middle of a stream.
    """

    def __init__(self, channel: ThreadChannel, facts: Facts) -> None:
        self._channel = channel
        self._facts = facts
        self._holders: weakref.WeakValueDictionary[int, Stream] = weakref.WeakValueDictionary()
        """Thread to the stream that it has begun last, where only one at a time is served."""
        # A session that is dropped, or left open when the program ends, takes its process along.
        self._finalizer = weakref.finalize(self, channel.kill)

    @classmethod
    def start(
        cls,
        backend: str,
        artifact: Artifact,
        options: LoadOptions,
        *,
        python: str | Path | None = None,
        heartbeat: float = HEARTBEAT,
        patience: float = PATIENCE,
    ) -> WorkerSession:
        """Load `artifact` in a new worker process. It may take as long as it likes, but not without a sign of life.

        Args:
            backend: the plugin's name, in the worker's environment.
            python: the interpreter of an environment that holds the same pajamas and the backend; None is this one.
            heartbeat: seconds of silence after which the worker is pinged.
            patience: seconds of silence after which it is killed.

        Raises:
            EngineMissing: there is no pajamas in that environment.
            EngineCrashed: the process died or hung while it loaded.
            EngineError: it could not be started, or holds another version of pajamas.
            PajamasError: what the backend's `load` raises.
        """
        process = WorkerProcess(Path(python or sys.executable))
        channel = ThreadChannel(process, backend, heartbeat=heartbeat, patience=patience)
        try:
            check_version(checked(channel.loading.inbox.get()), process)
            channel.send(Load(backend=backend, artifact=artifact, options=options))
            ready = checked(channel.loading.inbox.get())
            if not isinstance(ready, Ready):
                raise EngineError(f"The worker of backend {backend!r} answered out of turn.", repr(ready)[:200])
        except BaseException:
            channel.kill()
            raise
        channel.forget(channel.loading)
        return cls(channel, ready.facts)

    @property
    def backend(self) -> str:
        return self._facts.backend

    @property
    def architecture(self) -> Architecture:
        return self._facts.architecture

    @property
    def context_length(self) -> int:
        return self._facts.context_length

    @property
    def features(self) -> frozenset[Feature]:
        return self._facts.features

    @property
    def memory(self) -> MemoryUse:
        """As it was when the session was loaded."""
        return self._facts.memory

    @property
    def chat_template(self) -> str | None:
        return self._facts.chat_template

    @property
    def special_tokens(self) -> Mapping[str, str]:
        return self._facts.special_tokens

    @property
    def default_sampling(self) -> Sampling:
        return self._facts.default_sampling

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self._channel.process.pid

    @property
    def log(self) -> str:
        """The last of what the worker wrote to its standard output and standard error."""
        return self._channel.process.log

    def tokenize(self, text: str, *, add_special: bool = True, parse_special: bool = True) -> list[int]:
        answer = self._ask("tokenize", text=text, add_special=add_special, parse_special=parse_special)
        return from_json(answer, list[int])

    def detokenize(self, token_ids: list[int]) -> str:
        return from_json(self._ask("detokenize", token_ids=token_ids), str)

    def generate(self, request: GenerateRequest) -> Iterator[Chunk]:
        """The iterator's `close` stops the worker's generation; another thread may call it."""
        stream = Stream(self, "generate", {"request": to_json(request)}, CHUNKS_AHEAD)
        return cast("Iterator[Chunk]", stream)

    def score(self, token_ids: list[int], first: int = 0) -> Iterator[NDArray[np.float32]]:
        arguments = {"token_ids": to_json(token_ids), "first": first}
        return cast("Iterator[NDArray[np.float32]]", Stream(self, "score", arguments, BLOCKS_AHEAD))

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        return cast("NDArray[np.float32]", self._ask("embed", texts=texts))

    def save_prompt_cache(self, path: Path) -> None:
        self._ask("save_prompt_cache", path=str(Path(path).absolute()))

    def load_prompt_cache(self, path: Path) -> int:
        return from_json(self._ask("load_prompt_cache", path=str(Path(path).absolute())), int)

    def close(self) -> None:
        """End the worker; an answer in the making is dropped, and its stream raises EngineError."""
        if self._finalizer.detach():
            self._channel.close(CLOSE_SECONDS)

    def _take_turn(self, stream: Stream, method: str) -> None:
        """Refuse to wait for oneself."""
        if Feature.PARALLEL in self.features or method in BESIDE_A_STREAM or self._channel.dead:
            return
        holder = self._holders.get(threading.get_ident())
        if holder is not None and not holder.ended:
            raise EngineError(
                "The session is busy.",
                "An answer of it is still open in this thread.",
                "Read it to its end, or close it.",
            )
        self._holders[threading.get_ident()] = stream

    def _ask(self, method: str, **arguments: Any) -> Any:
        answers = list(Stream(self, method, {name: to_json(value) for name, value in arguments.items()}, 2))
        if len(answers) != 1:
            raise EngineError(f"The worker gave {len(answers)} answers to {method}.")
        return answers[0]


class Stream:
    """Iterates over the answers to one call, which is made when the first is asked for.

    Args:
        session: kept alive by its streams, and with it the process.
        window: how many answers the worker may be ahead; of blocks, how many are in memory.
    """

    def __init__(self, session: WorkerSession, method: str, arguments: dict[str, object], window: int) -> None:
        self._session = session
        self._method = method
        self._arguments = arguments
        self._window = window
        self._taken = 0
        self._waiter: Waiter | None = None
        self.ended = False
        self._state = threading.Lock()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        channel = self._session._channel
        with self._state:
            if self.ended:
                raise StopIteration
            if self._waiter is None:
                self._session._take_turn(self, self._method)
                self._waiter = channel.call(self._method, self._arguments, self._window)
            waiter = self._waiter
        try:
            answer = checked(waiter.inbox.get())
            value = self._value(answer)
        except (PajamasError, StopIteration):
            self.ended = True
            channel.cancel(waiter)  # the worker may not know that it is over, if its answer was none
            raise
        self._taken += 1
        if self._taken * 2 >= self._window:
            channel.send(Credit(id=waiter.id, count=self._taken))
            self._taken = 0
        return value

    def close(self) -> None:
        """Stop the call; one who waits in `next` sees the stream end."""
        with self._state:
            self.ended = True
            if self._waiter is not None:
                self._session._channel.cancel(self._waiter)
                self._waiter.inbox.put(End(id=self._waiter.id))

    def __del__(self) -> None:
        if hasattr(self, "_state"):  # else `__init__` was not reached
            self.close()

    def _value(self, answer: Reply) -> Any:
        if isinstance(answer, Block):
            import numpy as np

            return np.frombuffer(answer.data, dtype=np.float32).reshape(answer.shape)
        if isinstance(answer, Item):
            return chunk_of(answer.value) if self._method == "generate" else answer.value
        raise StopIteration
