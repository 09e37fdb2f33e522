"""Clients that do unusual things with their connections."""

from __future__ import annotations

import json
import socket

import pytest

from serving import until

CHAT = json.dumps({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}).encode()


def opened(server):
    return socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=20)


def head(size, *lines):
    return "\r\n".join(
        ["POST /v1/chat/completions HTTP/1.1", "host: x", f"content-length: {size}", *lines, "", ""]
    ).encode()


def rest(client):
    text = b""
    while more := client.recv(2**16):
        text += more
    return text


def test_a_client_that_pipelines_and_leaves_is_gone(tiny):
    failed = tiny.metric("pajamas_requests_total", status="500")
    for _ in range(10):
        with opened(tiny) as client:
            client.sendall((head(len(CHAT)) + CHAT) * 20)
            client.recv(100)
    assert until(lambda: tiny.metric("pajamas_slots", state="busy") == 0, 10)
    assert tiny.post("/v1/chat/completions", CHAT)[0] == 200
    assert tiny.metric("pajamas_requests_total", status="500") == failed
    assert "Traceback" not in tiny.log


@pytest.mark.parametrize("expects", [True, False])
def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes(tiny, expects):
    with opened(tiny) as client:
        client.sendall(head(2**40, *(["expect: 100-continue"] if expects else [])))
        text = client.recv(10_000)
        while b'"too_large"' not in text and (more := client.recv(10_000)):
            text += more
    assert text.startswith(b"HTTP/1.1 413 ") and b'"too_large"' in text


def test_who_sends_too_much_can_read_that_it_is_too_much(tiny):
    status, _, body = tiny.post("/v1/completions", b" " * (24 * 2**20))
    assert (status, body["error"]["code"]) == (413, "too_large")


def test_what_is_no_http_is_answered_in_json(tiny):
    with opened(tiny) as client:
        client.sendall(b"\x16\x03\x01\x02\r\n\r\n")
        top, _, body = rest(client).partition(b"\r\n\r\n")
    assert b" 400 " in top and json.loads(body)["error"]["code"] == "invalid_http"


def test_who_ends_its_side_of_the_connection_is_gone(tiny):
    left = tiny.metric("pajamas_requests_total", status="499")
    body = json.dumps({"prompt": "Once", "max_tokens": 1500, "ignore_eos": True}).encode()
    with opened(tiny) as client:
        client.sendall(head(len(body)).replace(b"chat/", b"") + body)
        assert until(lambda: tiny.metric("pajamas_slots", state="busy") == 1)
        client.shutdown(socket.SHUT_WR)
        assert rest(client) == b""
    assert until(lambda: tiny.metric("pajamas_requests_total", status="499") == left + 1, 10)
