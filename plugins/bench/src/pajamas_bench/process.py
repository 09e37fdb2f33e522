"""A process that measures one model, seen from the outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from multiprocessing.connection import Connection, Pipe
from types import TracebackType
from typing import Any, Self

from pajamas.errors import EngineCrashed, PajamasError, Unsupported
from pajamas_bench.cases import Case
from pajamas_bench.messages import Ask, Bandwidth, Load, Loaded, PeakMemory, Run

_CLOSE_SECONDS = 10.0
_ONE_THREAD = {
    name: "1" for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
}


class MeasuringProcess:
    """A child that runs `pajamas_bench.child`. Its methods wait for the answer and raise what the child raises.

    Args:
        blas_threads: leave BLAS its threads; False is for the memory bandwidth, which brings threads of its own.

    Raises:
        Unsupported: this system does not hand open files on to child processes (Windows).
        EngineCrashed: from every method, when the process has died.
    """

    def __init__(self, *, blas_threads: bool = True) -> None:
        if os.name != "posix":
            raise Unsupported("Benchmarks are not supported on this system.", "They need POSIX.", "Use WSL.")
        ours, theirs = Pipe()
        self._connection: Connection[Any, Any] = ours
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  closed with the process
        try:
            self._process = subprocess.Popen(
                # -P: a folder named pajamas in the working directory must not be taken for the package.
                [sys.executable, "-P", "-m", "pajamas_bench.child", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                pass_fds=(theirs.fileno(),),
                env=os.environ if blas_threads else {**os.environ, **_ONE_THREAD},
            )
        finally:
            theirs.close()

    def load(self, message: Load) -> Loaded:
        found: Loaded = self._ask(message)
        return found

    def run(self, case: Case, *, warm_up: bool = False) -> Run:
        found: Run = self._ask(Ask(case=case, warm_up=warm_up))
        return found

    def peak_memory(self) -> int:
        found: int = self._ask(PeakMemory())
        return found

    def bandwidth(self) -> tuple[float, float]:
        found: tuple[float, float] = self._ask(Bandwidth())
        return found

    def close(self) -> None:
        """End it; a process that does not end by itself is killed."""
        if self._process.poll() is None:
            try:
                self._connection.send(None)
                self._process.wait(_CLOSE_SECONDS)
            except (OSError, subprocess.TimeoutExpired):
                self.kill()
        self._connection.close()
        self._log.close()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and not issubclass(kind, PajamasError):
            self.kill()  # interrupted: what it computes is not waited for
        self.close()

    def _ask(self, message: object) -> Any:
        try:
            self._connection.send(message)
            answer = self._connection.recv()
        except (EOFError, OSError) as error:
            raise self._crash() from error
        if isinstance(answer, PajamasError):
            raise answer
        return answer

    def _crash(self) -> EngineCrashed:
        status = self._process.wait()
        how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with exit status {status}"
        self._log.seek(0)
        words = self._log.read()[-2000:].decode(errors="replace").split("\n")
        last = " | ".join(line.strip() for line in words if line.strip())[-400:]
        return EngineCrashed(f"The measuring process {how}.", last or "It left no word.", "Try pajamas doctor.")
