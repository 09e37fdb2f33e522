"""Load on `pajamas serve`, with faults: nothing may be lost, mixed or altered, and nothing may be left behind.

    python benchmarks/serve_load.py --model tiny --streams 64 --minutes 4 --kill-every 20 --hang-every 45

So many clients ask one after the other. Half of what they ask has a seed, and must be the very answer that the server
gave when it had nothing else to do; the other half comes with log-probabilities, and its tokens must be its text and as
many as its usage says. Meanwhile some clients vanish in the middle of an answer or while they wait, some read slowly,
some send garbage, some ask for the models that --also adds, which with a small --memory-limit have to make room for
each other, and workers are killed (SIGKILL) or stopped (SIGSTOP). Afterwards the server must answer, its metrics
must be what the clients have counted, and it and its workers must have no more memory, files, threads and processes
than before. What is not known here is passed on to `pajamas serve`.
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
import threading
import time
from collections import Counter
from typing import Any

import psutil
from serve_state import ROOM, differences, footprint, is_settled, metrics

WORDS = ("river", "stone", "night", "letter", "garden", "winter", "engine", "silver", "music", "paper")
GARBAGE = (
    b"\x00" * 100,
    b"GET / HTTP/9.9\r\n\r\n",
    b'POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{"prompt"',
    b"POST /v1/tokenize HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nnull",
    b"POST /v1/tokenize HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    b"POST /v1/tokenize HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n{",
    b"GET /" + b"a" * 70_000,
    os.urandom(500),
)
SEEDS = 12
SETTLE_SECONDS = 60


class Load:
    """Clients of one server, and what they have seen."""

    def __init__(self, port: int, tokens: int) -> None:
        self.port = port
        self.tokens = tokens
        self.seen: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        """What the server should have counted; "left" is 200 or 499."""
        self.seconds: list[float] = []
        self.generated = 0
        self.truth: dict[int, str] = {}

    async def ask(self, **options: Any) -> tuple[int, bytes]:
        """Status and body of a completion."""
        body = {"max_tokens": self.tokens, "stream": True, "stream_options": {"include_usage": True}, **options}
        data = json.dumps(body).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            head = (
                f"POST /v1/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {len(data)}\r\n\r\n"
            )
            writer.write(head.encode() + data)
            status = int((await reader.readuntil(b"\r\n\r\n")).split()[1])
            return status, await reader.read(-1)
        finally:
            writer.close()

    def seeded(self, seed: int) -> dict[str, Any]:
        return {"prompt": f"The {WORDS[seed % 10]} and the {WORDS[seed % 7]}", "seed": seed, "ignore_eos": True}

    async def learn(self) -> None:
        """The answers that seeds give, while the server has nothing else to do."""
        for seed in range(SEEDS):
            status, body = await self.ask(**self.seeded(seed))
            assert status == 200, body
            self.statuses["200"] += 1
            self.truth[seed] = "".join(choice["text"] for choice in choices_of(events_of(body)))

    async def client(self, until: float) -> None:
        """One that reads everything and checks it."""
        while time.monotonic() < until:
            seed = random.randrange(2 * SEEDS)
            options = (
                self.seeded(seed) if seed < SEEDS else {"prompt": " ".join(random.choices(WORDS, k=8)), "logprobs": 0}
            )
            began = time.perf_counter()
            try:
                status, body = await self.ask(**options)
            except (OSError, asyncio.IncompleteReadError) as error:
                self.seen[f"LOST: {type(error).__name__}"] += 1
                continue
            events = events_of(body)
            failed = [event["error"] for event in events if "error" in event]
            if status != 200:
                self.statuses[str(status)] += 1
                self.seen[f"refused with {status}"] += 1
                await asyncio.sleep(0.2)
            elif failed:
                self.statuses["500"] += 1
                self.seen[f"ended by an error event: {failed[0]['code']}"] += 1
            else:
                self.statuses["200"] += 1
                good = self.is_seeded_truth(seed, events) if seed < SEEDS else self.is_consistent(events)
                self.seen["whole" if good and is_whole(events, body) else "WRONG"] += 1
                self.generated += events[-1]["usage"]["completion_tokens"]
                self.seconds.append(time.perf_counter() - began)

    def is_seeded_truth(self, seed: int, events: list[dict[str, Any]]) -> bool:
        return "".join(choice["text"] for choice in choices_of(events)) == self.truth[seed]

    def is_consistent(self, events: list[dict[str, Any]]) -> bool:
        choices = choices_of(events)
        text = "".join(choice["text"] for choice in choices)
        tokens = [token for choice in choices if choice["logprobs"] for token in choice["logprobs"]["tokens"]]
        usage = events[-1]["usage"]["completion_tokens"]
        # The token that ends an answer has no text of its own; half a character is shown otherwise alone.
        same = "".join(tokens) == text or "\ufffd" in "".join(tokens) or "".join(tokens).startswith(text)
        return same and len(tokens) <= usage <= len(tokens) + 1

    async def vanish(self, until: float) -> None:
        """One that leaves in the middle, or while it waits."""
        while time.monotonic() < until:
            try:
                status, _ = await asyncio.wait_for(
                    self.ask(prompt="Once", max_tokens=1000, ignore_eos=True), random.uniform(0.02, 1.5)
                )
                self.statuses[str(status)] += 1
            except TimeoutError:
                self.statuses["left"] += 1
                self.seen["vanished"] += 1
            except (OSError, asyncio.IncompleteReadError) as error:
                self.seen[f"LOST: {type(error).__name__}"] += 1

    async def swap(self, until: float, model: str) -> None:
        """One that asks for another model now and then."""
        while time.monotonic() < until:
            await asyncio.sleep(random.uniform(0, 4))
            prompt = " ".join(random.choices(WORDS, k=8))
            try:
                status, body = await self.ask(model=model, prompt=prompt, logprobs=0)
            except (OSError, asyncio.IncompleteReadError) as error:
                self.seen[f"LOST: {type(error).__name__}"] += 1
                continue
            events = events_of(body)
            ended = status == 200 and not any("error" in event for event in events)
            self.statuses["200" if ended else "500" if status == 200 else str(status)] += 1
            good = ended and self.is_consistent(events) and is_whole(events, body)
            self.seen["WRONG" if ended and not good else f"other model: {'whole' if good else status}"] += 1

    async def dawdle(self, until: float) -> None:
        """One that asks, and reads a few bytes at a time."""
        while time.monotonic() < until:
            data = json.dumps({"prompt": "Once", "max_tokens": 400, "ignore_eos": True, "stream": True}).encode()
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=256)
            writer.write(b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(data) + data)
            while time.monotonic() < until and await reader.read(256):
                await asyncio.sleep(0.05)
            writer.close()
            self.statuses["any"] += 1
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


def events_of(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in re.findall(rb"data: (\{.*\})", body)]


def choices_of(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event["choices"][0] for event in events if event["choices"]]


def is_whole(events: list[dict[str, Any]], body: bytes) -> bool:
    ended = b"[DONE]" in body and choices_of(events)[-1]["finish_reason"] in ("stop", "length")
    return ended and len({event["id"] for event in events}) == 1


async def trouble(
    server: psutil.Process, until: float, every: float, number: int, name: str, seen: Counter[str]
) -> None:
    """Send some worker a signal every so many seconds; leave time to recover at the end."""
    while every and time.monotonic() < until - max(every, 30):
        await asyncio.sleep(every * random.uniform(0.7, 1.3))
        if workers := server.children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(random.choice(workers).pid, number)
                seen[name] += 1


async def measure(load: Load, server: psutil.Process, options: argparse.Namespace) -> bool:
    await load.learn()
    warm = [load.client(time.monotonic() + 5) for _ in range(options.streams)]
    await asyncio.gather(*warm)
    await asyncio.sleep(2)
    before = footprint(server)
    began = time.monotonic()
    until = began + options.minutes * 60
    load.generated = 0
    faulty = [load.vanish, load.vanish, load.vanish, load.dawdle, load.dawdle, load.babble]
    await asyncio.gather(
        *(load.client(until) for _ in range(options.streams)),
        *(one(until) for one in faulty),
        *(load.swap(until, model.partition("=")[0]) for model in options.also),
        trouble(server, until, options.kill_every, signal.SIGKILL, "workers killed", load.seen),
        trouble(server, until, options.hang_every, signal.SIGSTOP, "workers stopped", load.seen),
    )
    seconds = time.monotonic() - began
    end = time.monotonic() + SETTLE_SECONDS
    while not is_settled(load.port) and time.monotonic() < end:
        await asyncio.sleep(0.5)
    await asyncio.sleep(2)
    faults = differences(load.statuses, load.generated, load.port) + (
        [] if is_settled(load.port) else ["it did not come to rest"]
    )
    status, _ = await load.ask(prompt="Once", stream=False, stream_options=None)
    after = footprint(server)
    faults += [
        f"{name}: {before[name]:g} before, {after[name]:g} after"
        for name in ROOM
        if after[name] > before[name] + ROOM[name]
    ]
    if after["workers"] != (known := sum(metrics(load.port)["pajamas_workers"].values())):
        faults.append(f"{after['workers']:g} processes are there, and the server knows {known:g}")
    faults += [f"{count} times {what}" for what, count in load.seen.items() if what[:4] in ("LOST", "WRON")]
    if status != 200 or not load.seen["whole"]:
        faults.append("it does not answer")
    sys.stdout.write(json.dumps({
        "seen": load.seen, "tokens a second": round(load.generated / seconds, 1),
        "median seconds of an answer": round(statistics.median(load.seconds), 3) if load.seconds else None,
        "before": before, "after": after, "faults": faults,
    }, indent=2) + "\n")  # fmt: skip
    return not faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--kill-every", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--hang-every", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--also", action="append", default=[], metavar="NAME=MODEL")
    parser.add_argument("--log", help="file for the server's log")
    options, more = parser.parse_known_args()
    command = [sys.executable, "-c", "from pajamas.cli.main import main; main()", "serve", "--port", "0"]
    models = [argument for model in (options.model, *options.also) for argument in ("--model", model)]
    process = subprocess.Popen([*command, *models, *more], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    lines, port = [], None
    for line in process.stderr:
        lines.append(line)
        if found := re.search(r":(\d+)/v1", line):
            port = int(found[1])
        if "is ready" in line:
            break
    assert port is not None, "the server did not start:\n" + "".join(lines)
    reader = threading.Thread(target=lambda: lines.extend(process.stderr))
    reader.start()
    try:
        good = asyncio.run(measure(Load(port, options.tokens), psutil.Process(process.pid), options))
    finally:
        process.terminate()
        code = process.wait(60)
        reader.join()
        if options.log:
            with open(options.log, "w", encoding="utf-8") as file:
                file.writelines(lines)
    if traced := sum("Traceback" in line for line in lines):
        sys.stdout.write(f"{traced} tracebacks in the log\n")
    good = good and code == 0 and not traced
    sys.stdout.write("good\n" if good else f"BAD (exit code {code})\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
