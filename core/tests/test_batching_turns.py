"""Turns: one thread at a time, in the order in which they came."""

from __future__ import annotations

import threading

from pajamas.batching.turns import Turns

LIMIT = 60


def waiting(turns, count):
    """Wait until so many threads wait."""
    tick = threading.Event()
    while len(turns._waiters) < count:
        tick.wait(0.001)


def test_turns_are_given_in_the_order_in_which_they_were_asked_for():
    turns, order = Turns(), []
    assert turns.take() and not turns.take_now()

    def ask(number):
        with turns:
            order.append(number)

    threads = []
    for number in range(4):
        threads.append(threading.Thread(target=ask, args=(number,), daemon=True))
        threads[-1].start()
        waiting(turns, number + 1)
    assert turns.wanted
    turns.leave()
    for thread in threads:
        thread.join(LIMIT)

    assert order == [0, 1, 2, 3]
    assert not turns.wanted and turns.take_now()


def test_who_needs_it_no_more_is_sent_away():
    turns, done, answers = Turns(), [], []
    assert turns.take()
    thread = threading.Thread(target=lambda: answers.append(turns.take(unless=lambda: bool(done))), daemon=True)
    thread.start()
    waiting(turns, 1)
    done.append(True)
    turns.wake()
    thread.join(LIMIT)

    assert answers == [False]
    assert not turns.take(unless=lambda: True)
    turns.leave()
    assert turns.take_now()
