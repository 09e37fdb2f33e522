"""`python -m pajamas_bench.child FD`: loads one model and measures it, so that nothing else is in its figures.

Started by `pajamas_bench.process`, never by hand. The engine runs in the main thread, where some engines must be.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from pajamas.errors import EngineError, PajamasError
from pajamas_bench.messages import Ask, Bandwidth, Load, Loaded, PeakMemory

if TYPE_CHECKING:
    from pajamas.types import Session


class Child:
    """Answers one message after the other; the parent sends the next when it has the answer."""

    def __init__(self) -> None:
        from pajamas.plugins import PluginHost

        self.host = PluginHost()
        self.asker: Any = None

    def answer(self, message: object) -> object:
        match message:
            case Load():
                return self._load(message)
            case Ask():
                return self.asker.ask(message.case, warm_up=message.warm_up)
            case PeakMemory():
                from pajamas_bench.memory import peak_memory

                return peak_memory()
            case Bandwidth():
                from pajamas_bench.bandwidth import measure

                return measure()
        raise EngineError(f"The measuring process does not know {message!r}.")

    def _load(self, message: Load) -> Loaded:
        from pajamas.worker.client import WorkerSession
        from pajamas_bench.asking import Asker

        backend = self.host.backend(message.backend)
        python = backend.describe().python
        began = time.perf_counter()
        session: Session
        if python is None:
            session = backend.load(message.artifact, message.options)
        else:  # its engine has an environment of its own: what a pipe costs is a part of what its users get
            session = WorkerSession.start(message.backend, message.artifact, message.options, python=python)
        seconds = time.perf_counter() - began
        self.asker = Asker(session, self.host)
        return Loaded(
            seconds=seconds,
            architecture=session.architecture,
            context_length=session.context_length,
            features=session.features,
            memory=session.memory,
        )

    def close(self) -> None:
        if self.asker is not None:
            self.asker.session.close()


def main() -> None:
    connection = Connection(int(sys.argv[1]))
    os.set_inheritable(connection.fileno(), False)  # processes that the engine starts must not keep it open
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    inbox: SimpleQueue[object] = SimpleQueue()
    threading.Thread(target=_read, args=(connection, inbox), daemon=True).start()
    child = Child()
    while (message := inbox.get()) is not None:
        connection.send(_answered(child, message))
    child.close()


def _answered(child: Child, message: object) -> object:
    try:
        return child.answer(message)
    except PajamasError as error:
        return error
    except Exception as error:  # the parent waits for an answer and must get it
        return EngineError(
            "Measuring failed.",
            f"{type(error).__name__}: {error}",
            "Please report it, with: " + " | ".join(traceback.format_exc().strip().splitlines()[-4:-1]),
        )


def _read(connection: Connection, inbox: SimpleQueue[object]) -> None:
    """The parent says None to end; where it has gone without a word, this process goes too, whatever it computes."""
    while True:
        try:
            message = connection.recv()
        except (EOFError, OSError):
            os._exit(1)
        inbox.put(message)
        if message is None:
            return


if __name__ == "__main__":
    main()
