"""What HTTP costs: tokens a second and time to the first token, streamed by `pajamas serve` and by a session here.

    python benchmarks/serve_speed.py --model tiny --streams 1,4,8

The same prompts go to both by turns (A B, A B, ...), greedily and past the model's own end; ratios are of neighbours.
Both models are in memory at once, and the client's work counts against the server.
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

import pajamas

CONTEXT = 2048
Figures = tuple[int, float]
"""Tokens, and seconds to the first."""


def here(model: pajamas.Runtime, number: int, tokens: int) -> Figures:
    began = time.perf_counter()
    first, count = 0.0, 0
    for chunk in model.stream(f"Story {number}:", raw=True, max_tokens=tokens, ignore_eos=True, temperature=0):
        first = first or time.perf_counter() - began
        count += len(chunk.token_ids)
    return count, first


async def there(port: int, number: int, tokens: int) -> Figures:
    options = {"prompt": f"Story {number}:", "max_tokens": tokens, "ignore_eos": True, "temperature": 0, "stream": True}
    data = json.dumps({**options, "stream_options": {"include_usage": True}}).encode()
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = b"POST /v1/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
    writer.write(head % len(data) + data)
    body = await reader.readuntil(b"data: ")
    first = time.perf_counter() - began
    body += await reader.read(-1)
    writer.close()
    found = re.search(rb'"completion_tokens":(\d+)', body)
    return int(found[1]) if found else 0, first


def serve(model: str) -> tuple[subprocess.Popen[str], int]:
    command = [sys.executable, "-c", "from pajamas.cli.main import main; main()", "serve", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--model", model, "--context", str(CONTEXT)], stderr=subprocess.PIPE, text=True
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


def compare(model: pajamas.Runtime, port: int, streams: int, tokens: int, repeat: int) -> str:
    async def ask() -> list[Figures]:
        return await asyncio.gather(*(there(port, number, tokens) for number in range(streams)))

    ratios, added, speeds = [], [], []
    with ThreadPoolExecutor(streams) as pool:
        for turn in range(repeat + 1):
            began = time.perf_counter()
            near = list(pool.map(lambda number: here(model, number, tokens), range(streams)))
            between = time.perf_counter()
            far = asyncio.run(ask())
            ended = time.perf_counter()
            if turn:  # the first warms both
                speed = [sum(count for count, _ in near) / (between - began),
                         sum(count for count, _ in far) / (ended - between)]  # fmt: skip
                speeds.append(speed)
                ratios.append(speed[1] / speed[0])
                added.append(statistics.median(s for _, s in far) - statistics.median(s for _, s in near))
    medians = [statistics.median(column) for column in zip(*speeds, strict=True)]
    return (
        f"{streams} streams: {medians[0]:.0f} tokens/s here, {medians[1]:.0f} by HTTP, ratio "
        f"{statistics.median(ratios):.3f}; first token {statistics.median(added) * 1000:+.1f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--streams", default="1,4,8")
    parser.add_argument("--tokens", type=int, default=300)
    parser.add_argument("--repeat", type=int, default=10)
    options = parser.parse_args()
    process, port = serve(options.model)
    try:
        with pajamas.Runtime(options.model, context_length=CONTEXT) as model:
            for streams in map(int, options.streams.split(",")):
                sys.stdout.write(compare(model, port, streams, options.tokens, options.repeat) + "\n")
                sys.stdout.flush()
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
