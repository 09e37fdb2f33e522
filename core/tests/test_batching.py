"""Answers that are computed together, by an engine of a few lines: the token after n is n + 1."""

from __future__ import annotations

import threading

import pytest

from pajamas.answer_stream import AnswerStream
from pajamas.batching.job import AHEAD, BatchedJob
from pajamas.batching.scheduler import BatchScheduler
from pajamas.errors import EngineError
from pajamas.types import GenerateRequest, TokenLogprob

LIMIT = 60
END = ord("z") + 1


class Letters:
    """Tokens are letters, by their code; after z an answer ends."""

    end_tokens = frozenset({END})

    def piece(self, token):
        return bytes([token])

    def sample(self, logits):
        return logits[-1] + 1


class Held:
    """A place, with the tokens that were computed there."""

    def __init__(self):
        self.tokens = []


class Job(BatchedJob):
    def probabilities(self, logits):
        return self

    def of(self, token, count):
        return TokenLogprob(token_id=token, token=chr(token), bytes=bytes([token]), logprob=0.0)


class Lane:
    def __init__(self, places):
        self.jobs, self.put_back, self.closed = [], [], False
        self.places = places
        self.together = []

    def admit(self, job):
        if job.tokens[0] == ord("!"):
            raise EngineError("It cannot be let in.", "", "")
        if len(self.jobs) == self.places:
            return False
        job.begin(Held())
        self.jobs.append(job)
        return True

    def computes_beginning_of(self, job):
        return False

    def step(self):
        working = [job for job in self.jobs if not job.paused]
        self.together.append(len(working))
        for job in working:
            job.sequence.tokens = list(job.tokens)
            job.choose(job.tokens)
        return bool(working)

    def release(self, job):
        self.jobs.remove(job)

    def take_paused_place(self):
        for job in self.jobs:
            if job.paused:
                self.jobs.remove(job)
                self.put_back.append(job)
                return True
        return False

    def close(self):
        self.closed = True


def made(places=2, most_waiting=9):
    lane = Lane(places)
    return lane, BatchScheduler([lane], most_waiting=most_waiting)


def job_of(text, limit=99, **options):
    letters = Letters()
    return Job(letters, letters, GenerateRequest(prompt=text, **options), list(text.encode()), limit)


def stream(scheduler, text, limit=99, **options):
    return AnswerStream(scheduler, lambda: job_of(text, limit, **options))


def text_of(chunks):
    return "".join(chunk.text for chunk in chunks)


@pytest.mark.parametrize(
    ("text", "limit", "options", "wanted", "reason"),
    [
        ("w", 99, {}, "xyz", "stop"),
        ("a", 3, {}, "bcd", "length"),
        ("a", 0, {}, "", "length"),
        ("a", 99, {"stop": ("ef",)}, "bcd", "stop"),
        ("x", 4, {"ignore_eos": True}, "yz{|", "length"),
    ],
)
def test_an_answer_ends_as_it_should(text, limit, options, wanted, reason):
    lane, scheduler = made()
    chunks = list(stream(scheduler, text, limit, **options))

    assert text_of(chunks) == wanted
    assert [chunk.finish_reason for chunk in chunks if chunk.finish_reason] == [chunks[-1].finish_reason] == [reason]
    assert chunks[-1].usage.completion_tokens == sum(len(chunk.token_ids) for chunk in chunks)
    assert not lane.jobs


def test_log_probabilities_are_given_where_they_are_wanted():
    _, scheduler = made()

    assert [len(chunk.logprobs) for chunk in stream(scheduler, "x", logprobs=0)] == [1, 1, 0]
    assert not any(chunk.logprobs for chunk in stream(scheduler, "x"))


def test_threads_that_ask_at_once_are_computed_together():
    lane, scheduler = made(places=4)
    ready, found = threading.Barrier(4), {}

    def run(letter):
        ready.wait(LIMIT)
        found[letter] = text_of(stream(scheduler, letter, 20))

    threads = [threading.Thread(target=run, args=(letter,), daemon=True) for letter in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)

    alphabet = "abcdefghijklmnopqrstuvwxyz"
    assert found == {alphabet[place]: alphabet[place + 1 : place + 21] for place in range(4)}
    assert not lane.jobs


def test_whoever_waits_computes_for_the_others_too():
    lane, scheduler = made(places=2)
    first, second = stream(scheduler, "a"), stream(scheduler, "k", 3)
    firsts = text_of([next(first)])
    assert text_of(second) == "lmn"
    steps = scheduler.steps

    assert lane.together.count(2) >= 2
    assert firsts + text_of([next(first) for _ in range(3)]) == "bcde" and scheduler.steps == steps


def test_one_more_than_may_wait_is_refused():
    _, scheduler = made(most_waiting=1)
    scheduler.add(job_of("a"))

    with pytest.raises(EngineError, match=r"1 do, .*\n.*max_sequences"):
        next(stream(scheduler, "b"))


def test_what_one_job_fails_of_others_do_not_suffer_from():
    lane, scheduler = made()
    scheduler.add(bad := job_of("!"))
    assert text_of(stream(scheduler, "x")) == "yz"  # this thread has let the bad one in too

    with pytest.raises(EngineError, match="It cannot be let in"):
        scheduler.next(bad)
    assert not lane.jobs


def test_a_reader_who_does_not_come_back_holds_up_nobody():
    _, scheduler = made(places=1)
    slow = stream(scheduler, "\0", 3 * AHEAD)
    begun = [next(slow)]
    assert text_of(stream(scheduler, "v")) == "wxyz"

    assert [token for chunk in [*begun, *slow] for token in chunk.token_ids] == list(range(1, END))


def test_a_job_waits_while_one_with_a_place_goes_on():
    """Between the step and the look at who is paused a reader may have come back."""
    lane, scheduler = made(places=1)
    slow, waits = stream(scheduler, "\0", 3 * AHEAD), stream(scheduler, "v")
    next(slow)
    real = lane.step

    def step():
        worked = real()
        if not worked:
            lane.step = real
            next(slow)
        return worked

    lane.step = step
    assert text_of(waits) == "wxyz"


def test_a_job_for_which_there_is_never_a_place_fails():
    _, scheduler = made(places=0)

    with pytest.raises(EngineError, match="found no place"):
        next(stream(scheduler, "a"))


def test_cancelling_ends_one_and_closing_all():
    lane, scheduler = made()
    streams = [stream(scheduler, letter) for letter in "abc"]
    for one in streams[:2]:
        next(one)
    streams[0].close()
    assert len(lane.jobs) == 1
    scheduler.add(third := job_of("c"))

    scheduler.close()
    assert [chunk.finish_reason for chunk in streams[1]][-1] == "cancelled"
    assert scheduler.next(third).finish_reason == "cancelled" and scheduler.next(third) is None
    assert list(streams[0]) == [] and lane.closed
    assert next(streams[2]).finish_reason == "cancelled"


def test_cancelling_all_ends_also_who_has_no_place_in_this_moment():
    lane, scheduler = made(places=1)
    streams = [stream(scheduler, text, 40) for text in ("A", "B")]
    next(streams[0])
    job = lane.jobs.pop()  # between two lists: nobody who looks finds it
    scheduler.cancel_all()
    lane.put_back.append(job)

    assert list(streams[0])[-1].finish_reason == "cancelled"
    assert list(streams[1])[-1].finish_reason == "length"  # it came later
