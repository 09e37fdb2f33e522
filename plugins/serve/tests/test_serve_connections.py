"""Connections that never become a request, and a server that is told to stop in a hurry."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time

import pytest
import uvicorn
from uvicorn.server import ServerState

from pajamas_serve import connection
from serving import COUNT, alive, count_model, until


async def answer_all(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def talk():
    """`talk(*parts)` sends parts, a moment apart, to a server with these connections; what came back until its end."""

    def talk(*parts):
        async def main():
            config = uvicorn.Config(answer_all, lifespan="off", log_config=None)
            config.load()
            loop = asyncio.get_running_loop()
            server = await loop.create_server(
                lambda: connection.Connection(config=config, server_state=ServerState(), app_state={}, _loop=loop),
                "127.0.0.1",
                0,
            )
            async with server:
                reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
                for part in parts:
                    writer.write(part)
                    await asyncio.sleep(0.1)
                try:
                    return await asyncio.wait_for(reader.read(-1), 10)
                finally:
                    writer.close()
                    await asyncio.sleep(0)

        return asyncio.run(main())

    return talk


@pytest.mark.parametrize(
    "parts", [(), (b"GET / HTTP/1.1\r\nhost:",), (b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", b"GET / HTTP/1.1\r\nho")]
)
def test_a_head_that_does_not_end_ends_the_connection(talk, monkeypatch, parts):
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.5)
    assert talk(*parts).count(b"200 OK") == max(0, len(parts) - 1)


def test_a_body_may_take_longer_than_a_head(talk, monkeypatch):
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.15)
    head = b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 4\r\n\r\n"
    assert b"200 OK" in talk(head, b"a", b"b", b"c", b"d")


@pytest.mark.parametrize("start", [b"GET /", b"GET / HTTP/1.1\r\nx: "])
def test_a_head_without_end_is_not_kept(talk, start):
    assert b" 400 " in talk(start + b"a" * 40_000, b"a" * 40_000)
    head = b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 100000\r\n\r\n"
    assert b"200 OK" in talk(head + b"a" * 100_000)


@pytest.fixture
def count(serve, tmp_path):
    """A server of a model that does as its prompt says."""
    path = os.pathsep.join(filter(None, [str(COUNT), os.environ.get("PYTHONPATH")]))
    return lambda *arguments: serve(
        "--model", f"m={count_model(tmp_path)}", "--slots", 1, *arguments, environment={"PYTHONPATH": path}
    )


def send(client, server, body):
    client.settimeout(20)
    client.connect(("127.0.0.1", int(server.url.rpartition(":")[2])))
    head = b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"
    client.sendall(head % len(body) + body)
    assert b"200 OK" in client.recv(1000)


@pytest.mark.parametrize("signals, options", [(2, ()), (1, ("--drain-timeout", 0))])
def test_answers_that_must_end_end_with_an_error(count, signals, options):
    server = count(*options)
    workers = server.workers()
    with socket.socket() as client:
        send(client, server, b'{"prompt": "slow 0.01", "max_tokens": 10000000, "stream": true}')
        began = time.monotonic()
        for _ in range(signals):
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
        text = b""
        while more := client.recv(10000):
            text += more
        assert b"The server is stopping" in text and text.endswith(b"0\r\n\r\n") and b"[DONE]" not in text
        assert server.process.wait(20) == 0
    assert time.monotonic() - began < 20 and until(lambda: not any(map(alive, workers)))
    assert "Traceback" not in server.log and "ASGI" not in server.log


def test_a_client_that_does_not_read_does_not_keep_the_server(serve, tiny_gguf):
    server = serve("--model", f"tiny={tiny_gguf}", "--threads", 1, "--context", 2048, "--drain-timeout", 0)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        send(
            client,
            server,
            b'{"prompt": "Once", "max_tokens": 2000, "ignore_eos": true, "stream": true, "logprobs": 100}',
        )
        assert until(lambda: server.metric("pajamas_slots", state="busy") == 0, 30)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0
    assert "Traceback" not in server.log and "ASGI" not in server.log
