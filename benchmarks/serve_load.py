"""Load on `pajamas serve`, with faults: nothing may be lost, mixed or altered, and nothing may be left behind.

    python benchmarks/serve_load.py --model tiny --streams 64 --minutes 3 --kill-every 20

So many clients ask one after the other, streamed, with log-probabilities: an answer's tokens must be its text, and as
many as its usage says. Meanwhile some clients vanish in the middle of an answer, some read slowly, some send garbage,
and with --kill-every a worker is killed by SIGKILL. Afterwards the server must answer, and have no more memory, files
and processes than before the load.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from typing import Any

import psutil

WORDS = ("river", "stone", "night", "letter", "garden", "winter", "engine", "silver", "music", "paper")
GARBAGE = (
    b"\x00" * 100,
    b"GET / HTTP/9.9\r\n\r\n",
    b'POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{"prompt"',
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nnull",
    os.urandom(500),
)


class Load:
    """Clients of one server, and what they have seen."""

    def __init__(self, port: int, tokens: int) -> None:
        self.port = port
        self.tokens = tokens
        self.seen: Counter[str] = Counter()
        self.first: list[float] = []
        self.generated = 0

    async def ask(self, **options: Any) -> tuple[int, bytes, float]:
        """Status, body and seconds to the first byte of a completion."""
        body = {"prompt": " ".join(random.choices(WORDS, k=8)), "max_tokens": self.tokens, "logprobs": 0, **options}
        data = json.dumps({"stream": True, "stream_options": {"include_usage": True}, **body}).encode()
        began = time.perf_counter()
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            head = (
                f"POST /v1/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {len(data)}\r\n\r\n"
            )
            writer.write(head.encode() + data)
            status = int((await reader.readuntil(b"\r\n\r\n")).split()[1])
            return status, await reader.read(-1), time.perf_counter() - began
        finally:
            writer.close()

    async def client(self, until: float) -> None:
        """One that reads everything and checks it."""
        while time.monotonic() < until:
            status, body, seconds = await self.ask()
            events = [json.loads(line) for line in re.findall(rb"data: (\{.*\})", body)]
            if status != 200:
                self.seen[f"refused with {status}"] += 1
                await asyncio.sleep(0.2)
            elif any("error" in event for event in events):
                self.seen["ended by an error event"] += 1
            else:
                self.check(events, body)
                self.first.append(seconds)

    def check(self, events: list[dict[str, Any]], body: bytes) -> None:
        choices = [event["choices"][0] for event in events if event["choices"]]
        text = "".join(choice["text"] for choice in choices)
        tokens = [token for choice in choices if choice["logprobs"] for token in choice["logprobs"]["tokens"]]
        usage = events[-1]["usage"]["completion_tokens"]
        ids = {event["id"] for event in events}
        whole = b"[DONE]" in body and choices[-1]["finish_reason"] in ("stop", "length") and len(ids) == 1
        # The token that ends an answer has no text of its own; half a character is shown otherwise alone.
        same = "".join(tokens) == text or "\ufffd" in "".join(tokens) or "".join(tokens).startswith(text)
        self.seen["whole" if whole and same and len(tokens) <= usage <= len(tokens) + 1 else "WRONG"] += 1
        self.generated += usage

    async def vanish(self, until: float) -> None:
        """One that leaves in the middle."""
        while time.monotonic() < until:
            try:
                await asyncio.wait_for(self.ask(max_tokens=1000, ignore_eos=True), random.uniform(0.05, 1.5))
            except TimeoutError:
                self.seen["vanished"] += 1

    async def dawdle(self, until: float) -> None:
        """One that asks, and reads a few bytes at a time."""
        while time.monotonic() < until:
            data = json.dumps({"prompt": "Once", "max_tokens": 400, "ignore_eos": True, "stream": True}).encode()
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=256)
            writer.write(b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(data) + data)
            while time.monotonic() < until and await reader.read(256):
                await asyncio.sleep(0.05)
            writer.close()
            self.seen["dawdled"] += 1

    async def babble(self, until: float) -> None:
        """One that sends what is no request."""
        while time.monotonic() < until:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(random.choice(GARBAGE))
            with contextlib.suppress(TimeoutError, ConnectionError):
                await asyncio.wait_for(reader.read(4096), 0.5)
            writer.close()
            self.seen["babbled"] += 1
            await asyncio.sleep(0.1)


async def killer(server: psutil.Process, until: float, every: float, seen: Counter[str]) -> None:
    while every and time.monotonic() < until - every:
        await asyncio.sleep(every)
        if workers := server.children():
            os.kill(random.choice(workers).pid, signal.SIGKILL)
            seen["workers killed"] += 1


def footprint(server: psutil.Process) -> dict[str, int]:
    return {"files": server.num_fds(), "processes": len(server.children(recursive=True)),
            "MB": server.memory_info().rss // 1_000_000}  # fmt: skip


async def measure(load: Load, server: psutil.Process, options: argparse.Namespace) -> bool:
    await asyncio.gather(*(load.ask() for _ in range(options.streams)))  # warm
    before = footprint(server)
    until = time.monotonic() + options.minutes * 60
    began = time.monotonic()
    faulty = [load.vanish, load.vanish, load.dawdle, load.dawdle, load.babble]
    clients = [load.client(until) for _ in range(options.streams)]
    await asyncio.gather(
        *clients, *(one(until) for one in faulty), killer(server, until, options.kill_every, load.seen)
    )
    seconds = time.monotonic() - began
    await asyncio.sleep(3)
    status, _, _ = await load.ask(stream=False, stream_options=None)
    after = footprint(server)
    first = statistics.median(load.first) if load.first else float("nan")
    seen = {"seen": load.seen, "tokens a second": round(load.generated / seconds, 1), "before": before, "after": after}
    sys.stdout.write(json.dumps({**seen, "median seconds of an answer": round(first, 3)}, indent=2) + "\n")
    leaked = (
        after["files"] > before["files"] + 5
        or after["processes"] > before["processes"]
        or (after["MB"] > before["MB"] + 50)
    )
    return status == 200 and not load.seen["WRONG"] and load.seen["whole"] > 0 and not leaked


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--kill-every", type=float, default=0.0, metavar="SECONDS")
    options, more = parser.parse_known_args()
    command = [sys.executable, "-c", "from pajamas.cli.main import main; main()", "serve", "--port", "0"]
    process = subprocess.Popen([*command, "--model", options.model, *more], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    port = None
    for line in process.stderr:
        if found := re.search(r":(\d+)/v1", line):
            port = int(found[1])
        if "is ready" in line:
            break
    assert port is not None, "the server did not start"
    log = subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL)
    try:
        good = asyncio.run(measure(Load(port, options.tokens), psutil.Process(process.pid), options))
    finally:
        process.terminate()
        code = process.wait(60)
        log.kill()
    sys.stdout.write("good\n" if good and code == 0 else f"BAD (exit code {code})\n")
    return 0 if good and code == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
