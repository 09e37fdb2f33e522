"""Many clients at once, good ones and bad ones: nothing is lost, mixed or altered, and nothing is left behind."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket

import psutil

from serving import COUNT, count_model, until

HEAD = "POST /v1/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n"


async def ask(port, prompt, *, keep=True):
    """The text of a streamed answer; or leave after its first bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        body = json.dumps({"prompt": prompt, "max_tokens": 2000, "stream": True})
        writer.write((HEAD.format(len(body)) + body).encode())
        if not keep:
            return await reader.read(100)
        answer = await reader.read(-1)
        assert answer.rstrip(b"\r\n0").endswith(b"data: [DONE]"), answer[-300:]
        return "".join(json.loads(data)["choices"][0]["text"] for data in re.findall(rb"data: (\{.*\})", answer))
    finally:
        writer.close()


def test_many_streams_keep_apart_among_clients_that_behave_badly(serve, tmp_path):
    path = os.pathsep.join(filter(None, [str(COUNT), os.environ.get("PYTHONPATH")]))
    model = count_model(tmp_path, parallel=True)
    server = serve("--model", f"m={model}", "--max-workers", 2, "--min-workers", 2, environment={"PYTHONPATH": path})
    port = int(server.url.rpartition(":")[2])
    process = psutil.Process(server.process.pid)

    async def main():
        async def bad(number):
            if number % 2:
                return await ask(port, "slow 0.001", keep=False)
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(os.urandom(300) if number % 4 else b"POST /v1/completions HTTP/1.1\r\nhost: x\r\n")
            await asyncio.sleep(0.05)
            writer.close()

        good = [ask(port, f"count {100 + number}") for number in range(64)]
        texts, *_ = await asyncio.gather(asyncio.gather(*good), *(bad(number) for number in range(24)))
        assert texts == ["".join(f"{value} " for value in range(1, 101 + number)) for number in range(64)]

    asyncio.run(main())
    before = None
    for _ in range(2):  # what the first round opens for good is no leak
        assert until(lambda: server.metric("pajamas_slots", state="busy") == 0)
        assert until(lambda: len(process.net_connections()) == 1)
        now = (process.num_fds(), len(process.children(recursive=True)), process.num_threads())
        before = before or now
        asyncio.run(main())
    assert until(lambda: len(process.net_connections()) == 1)
    assert process.num_fds() <= before[0] and len(process.children(recursive=True)) == before[1]
    os.kill(server.workers()[0], signal.SIGKILL)
    server.wait_ready("/ready")
    assert server.post("/v1/completions", {"prompt": "count 3"})[2]["choices"][0]["text"] == "1 2 3 "
    assert "Traceback" not in server.log


def test_a_reader_that_stops_reading_holds_no_slot(serve, tiny_gguf):
    server = serve("--model", f"tiny={tiny_gguf}", "--threads", 1, "--context", 2048, "--slots", 1)
    port = int(server.url.rpartition(":")[2])
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.connect(("127.0.0.1", port))
        body = json.dumps({"prompt": "Once", "max_tokens": 800, "ignore_eos": True, "stream": True, "logprobs": 100})
        client.sendall((HEAD.format(len(body)) + body).encode())
        client.recv(100)
        assert until(lambda: server.metric("pajamas_slots", state="busy") == 0, 60)
        assert server.post("/v1/completions", {"prompt": "Once", "max_tokens": 3})[0] == 200
