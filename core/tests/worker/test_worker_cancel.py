"""Leaving a stream early stops the worker's work on it, and the session is free for the next."""

from __future__ import annotations

import gc
import os
import signal
import threading

import pytest

from pajamas.errors import EngineError
from pajamas.types import GenerateRequest
from pajamas.worker.lane import Lane
from pajamas.worker.outbox import Outbox
from pajamas.worker.protocol import Call, End, FrameBuffer, Item, decode


def events(session):
    return "".join(chunk.text for chunk in session.generate(GenerateRequest(prompt="events")))


def test_closing_a_stream_stops_it(start):
    session = start()
    stream = session.generate(GenerateRequest(prompt="slow 0.001"))
    assert next(stream).text == "tick "

    stream.close()

    assert events(session).startswith("slow closed")
    assert list(stream) == []


def test_dropping_a_stream_stops_it(start):
    session = start()
    stream = session.generate(GenerateRequest(prompt="slow 0.001"))
    next(stream)

    del stream
    gc.collect()

    assert events(session).startswith("slow closed")


def test_leaving_a_loop_in_a_generator_stops_it(start):
    session = start()

    def texts():
        yield from session.generate(GenerateRequest(prompt="slow 0.001"))

    outer = texts()
    next(outer)
    outer.close()

    assert events(session).startswith("slow closed")


def test_a_stream_that_was_never_begun_costs_nothing(start):
    session = start()

    session.generate(GenerateRequest(prompt="slow 0.001")).close()

    assert events(session) == ""


def test_leaving_score_frees_the_session_and_its_block(start):
    session = start()
    stream = session.score(list(range(100)))
    next(stream)

    stream.close()

    assert events(session) == "score closed"
    assert len(list(session.score(list(range(12))))) == 3


def test_another_thread_may_close_a_stream_that_is_waited_for(start, until):
    session = start()
    stream = asleep(session, until)
    threading.Timer(0.1, stream.close).start()

    assert list(stream) == []
    assert events(session) == "sleep interrupted after 1"


def asleep(session, until):
    """A stream whose worker is in the middle of a long step."""
    stream = session.generate(GenerateRequest(prompt="sleep"))
    next(stream)
    assert until(lambda: "asleep" in session.log)
    return stream


def test_closing_a_stream_in_the_middle_of_a_long_step_stops_it(start, until):
    session = start()
    stream = asleep(session, until)

    stream.close()

    assert events(session) == "sleep interrupted after 1"
    assert len(list(session.generate(GenerateRequest(prompt="count 50")))) == 51


def test_a_late_interrupt_does_not_hit_the_worker_itself(count_session):
    """It comes when the step's answer is already on its way into the shared block."""

    class Blocks:
        def write(self, array):
            lane._interrupted = lane._stream
            signal.raise_signal(signal.SIGINT)
            return array.shape

    reading, writing = os.pipe()
    lane = Lane(count_session, Blocks(), Outbox(writing, broken=lambda: None))
    previous = signal.signal(signal.SIGINT, lane.handle_interrupt)
    try:
        lane.inbox.put(Call(id=1, method="embed", arguments={"texts": ["a"]}, window=2))
        lane.serve(once=True)
    finally:
        signal.signal(signal.SIGINT, previous)

    os.close(writing)
    with open(reading, "rb") as pipe:
        sent = [decode(payload) for payload in FrameBuffer().feed(pipe.read())]
    assert sent == [Item(id=1, block=(1, 2)), End(id=1)]


def test_closing_the_session_in_the_middle_of_a_long_step(start, until):
    session = start()
    stream = asleep(session, until)

    session.close()

    assert "session closed" in session.log
    stream.close()


def test_the_worker_does_not_run_far_ahead_of_a_slow_reader(start):
    session = start()
    stream = session.generate(GenerateRequest(prompt="count 10000"))
    for _ in range(24):
        next(stream)
    session.tokenize("a")  # answered only when the worker has nothing else that it may do, or between two chunks
    session.tokenize("a")
    stream.close()

    made = int(events(session).rpartition(" ")[2])
    assert made <= 24 + 16


def test_tokenizing_in_the_middle_of_a_stream(start):
    session = start()
    stream = session.generate(GenerateRequest(prompt="count 100"))
    next(stream)

    assert session.tokenize("ab") == [0, 97, 98]
    assert session.detokenize([97, 98]) == "ab"
    assert len(list(stream)) == 100


def test_a_second_stream_waits_for_the_first(start):
    session = start()
    first = session.generate(GenerateRequest(prompt="slow 0.001"))
    next(first)
    answers = []
    second = threading.Thread(target=lambda: answers.extend(session.generate(GenerateRequest(prompt="count 3"))))
    second.start()

    assert [next(first).text for _ in range(100)] == ["tick "] * 100
    assert answers == []
    first.close()
    second.join(20)

    assert [chunk.text for chunk in answers] == ["1 ", "2 ", "3 ", ""]


def test_a_waiting_stream_can_be_cancelled(start):
    session = start()
    first = session.generate(GenerateRequest(prompt="slow 0.001"))
    next(first)
    waiting = session.generate(GenerateRequest(prompt="slow 0.001"))
    answers = []
    second = threading.Thread(target=lambda: answers.extend(waiting))
    second.start()
    session.tokenize("a")

    waiting.close()
    second.join(20)
    first.close()

    assert answers == []
    assert events(session).count("slow closed") == 1  # the second never ran


def test_a_thread_does_not_wait_for_itself(start):
    session = start()
    first = session.generate(GenerateRequest(prompt="slow 0.001"))
    next(first)

    with pytest.raises(EngineError, match="still open in this thread"):
        next(session.generate(GenerateRequest(prompt="count 1")))
    with pytest.raises(EngineError, match="still open in this thread"):
        session.embed(["a"])

    first.close()
    assert session.embed(["a"]).shape == (1, 2)


def test_a_parallel_stream_is_closed_from_outside(start, until):
    session = start(parallel=True)
    stream = session.generate(GenerateRequest(prompt="wait"))
    reader = threading.Thread(target=lambda: list(stream))
    reader.start()
    assert until(lambda: "waiting" in session.log)

    stream.close()
    reader.join(20)

    assert until(lambda: "wait closed" in events(session))


def test_cancelling_one_of_two_parallel_streams(start, until):
    session = start(parallel=True)
    kept = session.generate(GenerateRequest(prompt="count 200"))
    left = session.generate(GenerateRequest(prompt="slow 0.001"))
    next(kept), next(left)

    left.close()

    assert until(lambda: events(session).startswith("slow closed"))
    assert len(list(kept)) == 200


@pytest.mark.parametrize("parallel", [False, True])
def test_closing_the_session_in_the_middle_of_a_stream(start, until, alive, parallel):
    session = start(parallel=parallel)
    stream = session.generate(GenerateRequest(prompt="slow 0.001"))
    next(stream)

    session.close()

    assert not alive(session.pid)
    with pytest.raises(EngineError, match="closed"):
        list(stream)
    assert "session closed" in session.log  # it was not killed: the session inside was closed properly


def test_a_session_that_is_closed_says_so(start):
    session = start()
    session.close()
    session.close()

    with pytest.raises(EngineError, match="closed"):
        session.tokenize("a")


def test_a_session_that_will_not_close_is_killed(start, alive, monkeypatch):
    monkeypatch.setattr("pajamas.worker.client.CLOSE_SECONDS", 0.2)
    session = start()
    stream = session.generate(GenerateRequest(prompt="stubborn"))
    next(stream)

    session.close()

    assert not alive(session.pid)
