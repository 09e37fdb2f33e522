"""The stream between a reader and a scheduler that computes for several."""

from __future__ import annotations

import pytest

from pajamas.answer_stream import AnswerStream
from pajamas.types import Chunk


class Job:
    ended = cancelled = False


class Scheduler:
    """Gives out two chunks of a job, and notes what it was asked."""

    def __init__(self, error=None):
        self.calls = []
        self.chunks = [Chunk(text="a"), Chunk(text="b", finish_reason="stop"), None]
        self.error = error

    def add(self, job):
        self.calls.append("add")

    def next(self, job):
        if self.error is not None:
            raise self.error
        return self.chunks.pop(0)

    def cancel(self, job):
        self.calls.append("cancel")


def test_nothing_is_begun_before_the_first_chunk_is_asked_for_and_the_end_stays_the_end():
    scheduler = Scheduler()
    stream = AnswerStream(scheduler, Job)
    assert scheduler.calls == []

    assert [chunk.text for chunk in stream] == ["a", "b"]
    assert list(stream) == []
    assert scheduler.calls == ["add"]


def test_closing_cancels_once_and_an_unread_stream_never():
    scheduler = Scheduler()
    AnswerStream(scheduler, Job).close()
    assert scheduler.calls == []

    stream = AnswerStream(scheduler, Job)
    next(stream)
    stream.close()
    stream.close()
    assert scheduler.calls == ["add", "cancel"]
    assert list(stream) == []


def test_an_interrupted_reader_gives_its_place_back():
    scheduler = Scheduler(KeyboardInterrupt())
    stream = AnswerStream(scheduler, Job)

    with pytest.raises(KeyboardInterrupt):
        next(stream)
    assert scheduler.calls == ["add", "cancel"]


def test_a_stream_that_is_forgotten_marks_its_job():
    job = Job()
    stream = AnswerStream(Scheduler(), lambda: job)
    next(stream)
    del stream
    assert job.cancelled
