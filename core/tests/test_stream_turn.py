"""Streams that take turns."""

from __future__ import annotations

import threading

import pytest

from pajamas.errors import EngineError
from pajamas.stream_turn import Stream, Turn

LIMIT = 60


def stream(turn, items=("a", "b"), cancel=lambda: None):
    return Stream(turn, lambda: iter(items), cancel)


def test_the_turn_is_taken_at_the_first_item_and_left_at_the_end():
    turn = Turn()
    one = stream(turn)
    assert turn.take_now()
    turn.leave()

    assert next(one) == "a" and not turn.take_now()
    assert list(one) == ["b"] and turn.take_now()


def test_closing_or_forgetting_a_stream_leaves_the_turn():
    turn = Turn()
    one = stream(turn)
    next(one)
    one.close()
    another = stream(turn)
    next(another)
    del another

    assert turn.take_now()


def test_a_thread_does_not_wait_for_itself():
    turn = Turn()
    one = stream(turn)
    next(one)

    with pytest.raises(EngineError, match="still open in this thread"):
        next(stream(turn))
    assert next(one) == "b"


def test_another_thread_waits_until_the_stream_ends():
    turn, found = Turn(), []
    one = stream(turn)
    next(one)
    thread = threading.Thread(target=lambda: found.extend(stream(turn, ("c",))), daemon=True)
    thread.start()
    thread.join(0.05)
    assert found == []

    turn.end_stream()
    thread.join(LIMIT)
    assert found == ["c"]
    with pytest.raises(EngineError, match="not at its end"):
        next(one)


def test_a_session_that_closes_leaves_a_finished_stream_alone():
    turn = Turn()
    one = stream(turn)
    assert list(one) == ["a", "b"]
    turn.end_stream()

    assert list(one) == []


def test_closing_while_an_item_is_computed_cancels_it():
    turn, began, stop, found = Turn(), threading.Event(), threading.Event(), []

    def items():
        began.set()
        stop.wait(LIMIT)
        yield "last"

    one = stream(turn, items(), stop.set)
    thread = threading.Thread(target=lambda: found.append(next(one)), daemon=True)
    thread.start()
    assert began.wait(LIMIT)
    one.close()
    thread.join(LIMIT)

    assert found == ["last"]
