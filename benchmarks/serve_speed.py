"""What HTTP costs: tokens a second and time to the first token, streamed by `pajamas serve` and by a session here.

    python benchmarks/serve_speed.py --model tiny --streams 1,4,8

The same prompts go to both by turns (A B, B A, ...), greedily and past the model's own end; a ratio is the median over
rounds of the ratio within a round. Both models are in memory at once, and the client's work counts against the server.
The processor's time for a token is that of this process for the session, and that of the server and its workers (of
which the server alone is said too) for HTTP: it depends less on what else the machine does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psutil

import pajamas

CONTEXT = 2048
Figures = tuple[int, float]
"""Tokens, and seconds to the first."""


def here(model: pajamas.Runtime, prompt: str, tokens: int) -> Figures:
    began = time.perf_counter()
    first, count = 0.0, 0
    for chunk in model.stream(prompt, raw=True, max_tokens=tokens, ignore_eos=True, temperature=0):
        first = first or time.perf_counter() - began
        count += len(chunk.token_ids)
    return count, first


async def there(port: int, prompt: str, tokens: int, *, chat: bool = False) -> Figures:
    asked = {"messages": [{"role": "user", "content": prompt}]} if chat else {"prompt": prompt}
    options = {**asked, "max_tokens": tokens, "ignore_eos": True, "temperature": 0, "stream": True}
    data = json.dumps({**options, "stream_options": {"include_usage": True}}).encode()
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    path = b"chat/completions" if chat else b"completions"
    head = b"POST /v1/%s HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
    writer.write(head % (path, len(data)) + data)
    body = await reader.readuntil(b"data: ")
    first = time.perf_counter() - began
    body += await reader.read(-1)
    writer.close()
    found = re.search(rb'"completion_tokens":(\d+)', body)
    return int(found[1]) if found else 0, first


def serve(model: str, more: list[str]) -> tuple[subprocess.Popen[str], int]:
    command = [sys.executable, "-c", "from pajamas.cli.main import main; main()", "serve", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--model", model, "--context", str(CONTEXT), *more], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    port = 0
    for line in process.stderr:
        if found := re.search(r":(\d+)/v1", line):
            port = int(found[1])
        if "is ready" in line:
            break
    threading.Thread(target=process.stderr.read, daemon=True).start()
    return process, port


def cpu(processes: list[psutil.Process]) -> float:
    """Seconds of processor that they have used."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)


class Comparison:
    """One number of streams, here and there."""

    def __init__(self, model: pajamas.Runtime, port: int, server: psutil.Process, *, chat: bool) -> None:
        self.model = model
        self.port = port
        self.server = server
        self.chat = chat

    def here(self, prompts: list[str], tokens: int) -> dict[str, float]:
        used, began = time.process_time(), time.perf_counter()
        with ThreadPoolExecutor(len(prompts)) as pool:
            figures = list(pool.map(lambda prompt: here(self.model, prompt, tokens), prompts))
        seconds, count = time.perf_counter() - began, sum(count for count, _ in figures)
        return {
            "speed": count / seconds, "first": statistics.median(first for _, first in figures),
            "cpu": (time.process_time() - used) / count,
        }  # fmt: skip

    def there(self, prompts: list[str], tokens: int) -> dict[str, float]:
        workers = self.server.children()

        async def ask() -> list[Figures]:
            return await asyncio.gather(*(there(self.port, prompt, tokens, chat=self.chat) for prompt in prompts))

        own, theirs, began = cpu([self.server]), cpu(workers), time.perf_counter()
        figures = asyncio.run(ask())
        seconds, count = time.perf_counter() - began, sum(count for count, _ in figures)
        own, theirs = cpu([self.server]) - own, cpu(workers) - theirs
        return {
            "speed": count / seconds, "first": statistics.median(first for _, first in figures),
            "cpu": (own + theirs) / count, "server": own / count,
        }  # fmt: skip

    def rounds(self, streams: int, tokens: int, repeat: int) -> list[tuple[dict[str, float], dict[str, float]]]:
        found = []
        for turn in range(repeat + 1):
            prompts = [f"Story {turn % 3} of {number}:" for number in range(streams)]
            if turn % 2:
                near, far = self.here(prompts, tokens), self.there(prompts, tokens)
            else:
                far, near = self.there(prompts, tokens), self.here(prompts, tokens)
            if turn:  # the first warms both
                found.append((near, far))
        return found


def line(streams: int, rounds: list[tuple[dict[str, float], dict[str, float]]]) -> str:
    def middle(side: int, name: str) -> float:
        return statistics.median(pair[side][name] for pair in rounds)

    ratios = [far["speed"] / near["speed"] for near, far in rounds]
    by_cpu = statistics.median(near["cpu"] / far["cpu"] for near, far in rounds)
    added = statistics.median(far["first"] - near["first"] for near, far in rounds)
    return (
        f"{streams} streams: {middle(0, 'speed'):.1f} tokens/s here, {middle(1, 'speed'):.1f} by HTTP, ratio "
        f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}), by CPU time {by_cpu:.3f} "
        f"(a token {middle(0, 'cpu') * 1e3:.2f} ms here, {middle(1, 'cpu') * 1e3:.2f} there, "
        f"{middle(1, 'server') * 1e3:.3f} of it in the server); first token {added * 1000:+.1f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--streams", default="1,4,8")
    parser.add_argument("--tokens", type=int, default=300)
    parser.add_argument("--repeat", type=int, default=10)
    parser.add_argument("--firsts", type=int, default=30, help="rounds for the time to the first token alone")
    parser.add_argument("--chat", action="store_true", help="ask for chats, not completions")
    options, more = parser.parse_known_args()
    process, port = serve(options.model, more)
    try:
        with pajamas.Runtime(options.model, context_length=CONTEXT) as model:
            comparison = Comparison(model, port, psutil.Process(process.pid), chat=options.chat)
            alone = comparison.rounds(1, 2, options.firsts)
            added = sorted(far["first"] - near["first"] for near, far in alone)
            sys.stdout.write(
                f"first token: {statistics.median(near['first'] for near, _ in alone) * 1e3:.1f} ms here, "
                f"{statistics.median(added) * 1e3:+.2f} ms by HTTP ({added[0] * 1e3:+.1f} to {added[-1] * 1e3:+.1f})\n"
            )
            speeds = []
            for streams in map(int, options.streams.split(",")):
                rounds = comparison.rounds(streams, options.tokens, options.repeat)
                speeds.append((streams, statistics.median(far["speed"] for _, far in rounds)))
                sys.stdout.write(line(streams, rounds) + "\n")
                sys.stdout.flush()
            for streams, speed in speeds[1:]:
                sys.stdout.write(f"{streams} clients / {speeds[0][0]}: {speed / speeds[0][1]:.2f}\n")
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
