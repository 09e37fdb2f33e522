"""What a worker says goes out in order, and pieces that come fast go out together."""

from __future__ import annotations

import os
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pajamas.errors import EngineError
from pajamas.types import Chunk, TokenLogprob, ToolCall, Usage
from pajamas.worker.outbox import Outbox
from pajamas.worker.protocol import FrameBuffer, Item, chunk_of, decode, encode, encode_chunk, to_json


@pytest.fixture
def pipe():
    """What is to be read, and the outbox that writes it."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    outbox = Outbox(writing, broken=lambda: None)
    yield reading, outbox
    outbox.close()
    os.close(reading)
    os.close(writing)


def read(descriptor):
    try:
        return os.read(descriptor, 2**16)
    except BlockingIOError:
        return b""


def test_what_may_wait_is_taken_along(pipe):
    reading, outbox = pipe
    outbox.send(b"a")
    assert read(reading) == b"a"
    outbox.send_soon(b"b", delay=60)
    outbox.send_soon(b"c", delay=60)
    assert read(reading) == b""
    outbox.send(b"d")
    assert read(reading) == b"bcd"


def test_what_may_wait_waits_no_longer_than_that(pipe):
    reading, outbox = pipe
    for text in (b"a", b"c"):
        outbox.send(text)
        outbox.send_soon(text.upper(), delay=0.05)
        end = time.monotonic() + 20
        found = b""
        while found != text + text.upper() and time.monotonic() < end:
            found += read(reading)
            time.sleep(0.001)
        assert found == text + text.upper()
    time.sleep(0.06)
    outbox.send_soon(b"x", delay=0.05)
    assert read(reading) == b"x"  # the last write is long ago


def test_many_threads_lose_nothing(pipe):
    reading, outbox = pipe

    def talk(number):
        for count in range(200):
            (outbox.send if count % 7 == 0 else lambda frame: outbox.send_soon(frame, 0.001))(
                encode_chunk(number, Chunk(text=f"{count} "))
            )
        outbox.send(encode_chunk(number, Chunk(text="end")))

    threads = [threading.Thread(target=talk, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    frames, texts = FrameBuffer(), dict.fromkeys(range(6), "")
    while not all(text.endswith("end") for text in texts.values()):
        for payload in frames.feed(read(reading)):
            item = decode(payload)
            texts[item.id] += chunk_of(item.value).text
    for thread in threads:
        thread.join()
    assert set(texts.values()) == {"".join(f"{count} " for count in range(200)) + "end"}


def test_a_pipe_that_nobody_reads_is_told():
    told = threading.Event()
    reading, writing = os.pipe()
    os.close(reading)
    try:
        Outbox(writing, broken=told.set).send(b"a")
    finally:
        os.close(writing)
    assert told.is_set()


LOGPROB = TokenLogprob(token_id=3, token="é", bytes=b"\xc3\xa9", logprob=-0.25)
CHUNKS = st.builds(
    Chunk,
    text=st.text(max_size=5),
    token_ids=st.lists(st.integers(0, 2**20), max_size=3).map(tuple),
    reasoning=st.sampled_from(["", "so"]),
    cached_tokens=st.sampled_from([0, 5]),
    tool_calls=st.sampled_from([(), (ToolCall(id="a", name="f", arguments="{}"),)]),
    logprobs=st.sampled_from([(), (LOGPROB, LOGPROB)]),
    finish_reason=st.sampled_from([None, "stop"]),
    usage=st.sampled_from([None, Usage(prompt_tokens=1, completion_tokens=2)]),
)


@given(CHUNKS)
def test_a_chunk_is_the_same_by_either_way(chunk):
    (payload,) = FrameBuffer().feed(encode_chunk(7, chunk))
    assert decode(payload) == decode(next(FrameBuffer().feed(encode(Item(id=7, value=to_json(chunk))))))
    assert chunk_of(decode(payload).value) == chunk


@pytest.mark.parametrize("value", [None, [], {"text": "a", "token_ids": ["b"]}, {"text": "a", "more": []}])
def test_what_is_no_chunk_is_refused(value):
    with pytest.raises(EngineError):
        chunk_of(value)
