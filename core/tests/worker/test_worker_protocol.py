"""What comes through a pipe is a message or an error, never a crash, a hang or a wrong message."""

from __future__ import annotations

import contextlib
import json
import os
import struct
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pajamas.errors import EngineError
from pajamas.types import Chunk, TokenLogprob, Usage
from pajamas.worker import blocks, protocol
from pajamas.worker.protocol import Call, End, FrameBuffer, Hello, Item, Ping, decode, encode, from_json, to_json


def frame(payload, magic=protocol.MAGIC, length=None):
    return struct.pack(">4sI", magic, len(payload) if length is None else length) + payload


# --- frames ---------------------------------------------------------------------------------------------------------


def test_frames_are_found_wherever_the_pipe_cuts_them():
    messages = [
        Ping(),
        End(id=7),
        Item(id=2, value={"text": "é\ud800"}),
        Call(id=3, method="score", arguments={}, window=2),
    ]
    data = b"".join(encode(message) for message in messages)

    for step in (1, 3, 7, len(data)):
        buffer, got = FrameBuffer(), []
        for start in range(0, len(data), step):
            got += [decode(payload) for payload in buffer.feed(data[start : start + step])]
        assert got == messages


@pytest.mark.parametrize(
    "data",
    [
        frame(b"{}", magic=b"pjw\x02"),
        b"printf of an engine\n",
        frame(b"", length=protocol.MAX_PAYLOAD + 1),
        frame(b"", length=2**32 - 1),
    ],
)
def test_bytes_that_are_no_frame_are_refused_at_once(data):
    with pytest.raises(EngineError):
        list(FrameBuffer().feed(data))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b'{"kind": "nothing"}',
        b'{"kind": ["ping"]}',
        b'{"kind": "end"}',
        b'{"kind": "end", "id": "seven"}',
        b'{"kind": "end", "id": 7, "more": 1}',
        b'{"kind": "call", "id": 1, "method": "__class__", "arguments": {}, "window": 1}',
        b'{"kind": "item", "id": 1, "block": 5}',
        b'{"kind": "ready", "facts": {"backend": "x"}}',
        b'{"kind": "end", "id": ' + b"1" * 5000 + b"}",
        b"[" * 100_000,
        b'{"kind":' * 100_000,
    ],
)
def test_a_payload_that_is_no_message_is_refused(payload):
    with pytest.raises(EngineError):
        decode(payload)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_a_message_or_an_error(data):
    for stream in (data, frame(data)):
        with contextlib.suppress(EngineError):
            for payload in FrameBuffer().feed(stream):
                decode(payload)


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_in_place_of_a_chunk_gives_a_chunk_or_an_error(value):
    with contextlib.suppress(EngineError):
        assert isinstance(from_json(value, Chunk), Chunk)


def test_a_greeting_of_a_later_version_is_understood():
    payload = json.dumps({"kind": "hello", "protocol": 9, "version": "9.0", "capabilities": ["x"]}).encode()

    assert decode(payload) == Hello(protocol=9, version="9.0")


def test_a_message_that_is_too_long_is_not_sent(monkeypatch):
    monkeypatch.setattr(protocol, "MAX_PAYLOAD", 1000)

    with pytest.raises(EngineError, match="too long"):
        encode(Item(id=1, value="x" * 1000))


def test_a_chunk_survives_bit_for_bit():
    inner = TokenLogprob(token_id=2, token="é", bytes="é".encode(), logprob=-1e-300)
    chunk = Chunk(
        text="\ud83d",
        token_ids=(1, 2**31),
        logprobs=(TokenLogprob(token_id=1, token="\ufffd", bytes=b"\xf0\x9f", logprob=-2 / 3, top=(inner, inner)),),
        finish_reason="length",
        usage=Usage(prompt_tokens=1, completion_tokens=2, prompt_seconds=0.1),
    )

    assert from_json(decode(encode(Item(id=1, value=to_json(chunk)))[8:]).value, Chunk) == chunk


# --- blocks ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def file():
    descriptor = blocks.create_block_file()
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize("shape", [(0, 5), (3, 0), (1, 1), (4, 1000)])
def test_a_block_comes_back(file, shape):
    array = np.random.default_rng(0).normal(size=shape).astype(np.float32)

    assert blocks.BlockWriter(file).write(array) == shape
    assert blocks.read_block(file, shape) == array.tobytes()


def test_a_block_need_not_lie_in_one_piece(file):
    array = np.arange(12, dtype=np.float32).reshape(3, 4).T

    blocks.BlockWriter(file).write(array)

    assert blocks.read_block(file, (4, 3)) == np.ascontiguousarray(array).tobytes()


def test_a_block_larger_than_one_system_call(file, monkeypatch):
    monkeypatch.setattr(blocks, "_MOST", 1000)
    array = np.arange(1024, dtype=np.float32).reshape(1, 1024)

    blocks.BlockWriter(file).write(array)

    assert blocks.read_block(file, (1, 1024)) == array.tobytes()


@pytest.mark.parametrize("shape", [(), (4,), (1, 2, 3), (-1, -4), (-1, 4), (2, 3), (2**40, 2**40)])
def test_a_shape_that_the_file_cannot_hold_is_refused(file, shape):
    blocks.BlockWriter(file).write(np.zeros((1, 5), dtype=np.float32))

    with pytest.raises(EngineError):
        blocks.read_block(file, shape)


@pytest.mark.parametrize("array", [np.zeros((1, 2)), np.zeros(2, dtype=np.float32)])
def test_an_array_of_another_kind_is_refused(file, array):
    with pytest.raises(EngineError, match="float32"):
        blocks.BlockWriter(file).write(array)


# --- the worker, spoken to by hand ----------------------------------------------------------------------------------


@pytest.fixture
def raw():
    """A worker process, the pipe to it and the pipe from it."""
    requests, to_worker = os.pipe()
    from_worker, answers = os.pipe()
    file = blocks.create_block_file()
    given = (requests, answers, file)
    command = [sys.executable, "-P", "-m", "pajamas.worker", str(os.getpid()), *map(str, given)]
    process = subprocess.Popen(command, pass_fds=given, stderr=subprocess.PIPE, start_new_session=True)
    for descriptor in given:
        os.close(descriptor)
    with process, open(to_worker, "wb", buffering=0) as pipe, open(from_worker, "rb") as answers:
        yield process, pipe, answers
        process.kill()


def test_the_worker_greets_and_answers_pings(raw):
    _, pipe, answers = raw
    pipe.write(encode(Ping()))

    payloads = []
    buffer = FrameBuffer()
    while len(payloads) < 2:
        payloads += [decode(payload) for payload in buffer.feed(answers.read1())]

    assert [type(message).__name__ for message in payloads] == ["Hello", "Pong"]


def test_the_worker_ends_when_its_pipe_does(raw):
    process, pipe, _ = raw
    pipe.close()

    assert process.wait(20) != 0


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        frame(b"{}"),
        frame(b"[" * 100_000),
        encode(Call(id=1, method="tokenize", arguments={}, window=1)),
        encode(Hello(protocol=1, version="x")),
    ],
    ids=["no frame", "no message", "deep", "too early", "not for it"],
)
def test_the_worker_ends_on_what_it_does_not_understand(raw, data):
    process, pipe, _ = raw

    pipe.write(data)

    assert process.wait(20) == 1
    assert b"pajamas.worker: " in process.stderr.read()


def test_the_worker_ends_when_its_pipe_ends_in_the_middle_of_a_frame(raw):
    process, pipe, _ = raw
    pipe.write(encode(Ping())[:-3])
    pipe.close()

    assert process.wait(20) != 0


def test_the_worker_is_not_for_hands():
    done = subprocess.run([sys.executable, "-m", "pajamas.worker"], capture_output=True, text=True)

    assert done.returncode == 1
    assert done.stderr.strip() == "pajamas.worker is started by pajamas itself"
