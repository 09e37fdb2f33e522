"""Requests at once in one session, against as many processes that decode one sequence each on the same cores."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ratios import Ratio, Timed, by_turns, ratio

CONTEXT = 4096
"""Tokens of all requests together: each process has its share of them."""


class Child:
    """A process that generates when it is told to."""

    def __init__(self, kind: str, path: Path, threads: int, context: int) -> None:
        script = Path(__file__).with_name("processes_child.py")
        command = [sys.executable, str(script), kind, str(path), str(threads), str(context)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.wait()

    def begin(self, tokens: int, requests: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{tokens} {requests}\n")
        self.process.stdin.flush()

    def wait(self) -> None:
        assert self.process.stdout is not None
        if not self.process.stdout.readline():
            raise SystemExit("A process ended before its time.")

    def memory(self) -> float:
        """MB of its own, and its share of what several processes have in common (Linux: proportional set size)."""
        for line in Path(f"/proc/{self.process.pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1000
        raise SystemExit("The kernel does not say how much memory a process has.")

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def measure(path: Path, *, threads: int, count: int, tokens: int, rounds: int) -> list[Ratio]:
    """The ratios of speed and of memory. The processes share the threads, at least one for each."""
    memory = []

    def speed(children: Sequence[Child], requests: int) -> float:
        began = time.perf_counter()
        for child in children:
            child.begin(tokens, requests)
        for child in children:
            child.wait()
        return count * tokens / (time.perf_counter() - began)

    one = [Child("session", path, threads, CONTEXT)]
    speed(one, count)
    memory.append(sum(child.memory() for child in one))
    many = [Child("bare", path, max(threads // count, 1), CONTEXT // count) for _ in range(count)]
    speed(many, 1)
    # Alone: what both kinds map of the file would be shared between them too.
    one[0].close()
    memory.append(sum(child.memory() for child in many))
    one = [Child("session", path, threads, CONTEXT)]
    found = by_turns({"one": lambda: speed(one, count), "many": lambda: speed(many, 1)}, rounds)
    for child in (*one, *many):
        child.close()
    return [
        ratio(
            f"{count} requests at once / {count} processes of one sequence", found["one"], found["many"], reach=">= 1.5"
        ),
        ratio("memory of the same", [Timed(memory[0], 0)], [Timed(memory[1], 0)], unit="MB", reach="<= 0.4"),
    ]
