"""The pool's rules, apart from processes: time and counts go in, decisions come out."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from pajamas.types import Architecture, Artifact, LoadOptions
from pajamas_serve.pool.backoff import Backoff
from pajamas_serve.pool.breaker import Breaker, State
from pajamas_serve.pool.estimate import PROCESS, predict
from pajamas_serve.pool.ledger import Ledger, Stage
from pajamas_serve.pool.policy import Actions, PoolView, WorkerView, decide

COLD = PoolView(
    workers=(), slots=4, waiting=0, oldest_wait=0.0, min_workers=0, max_workers=3, idle_timeout=300.0, scale_delay=0.5,
    now=1000.0,
)  # fmt: skip


def worker(id, *, ready=True, busy=0, idle_since=1000.0):
    return WorkerView(id=id, ready=ready, busy=busy, idle_since=idle_since)


@pytest.mark.parametrize(
    "change, actions",
    [
        ({}, Actions()),
        ({"min_workers": 2}, Actions(start=2)),
        ({"min_workers": 2, "workers": (worker(1, ready=False),)}, Actions(start=1)),
        ({"waiting": 1}, Actions(start=1)),
        ({"waiting": 100}, Actions(start=3)),
        ({"waiting": 5}, Actions(start=2)),
        ({"waiting": 3, "workers": (worker(1, ready=False),)}, Actions()),
        ({"waiting": 1, "workers": (worker(1, busy=4),)}, Actions()),
        ({"waiting": 1, "oldest_wait": 0.6, "workers": (worker(1, busy=4),)}, Actions(start=1)),
        ({"waiting": 9, "oldest_wait": 9, "workers": tuple(worker(i, busy=4) for i in range(3))}, Actions()),
        ({"workers": (worker(1, idle_since=700.0),)}, Actions(stop=(1,))),
        ({"workers": (worker(1, idle_since=701.0),)}, Actions()),
        ({"workers": (worker(1, idle_since=0.0, busy=1),)}, Actions()),
        ({"workers": (worker(1, ready=False, idle_since=0.0),)}, Actions()),
        ({"min_workers": 1, "workers": (worker(1, idle_since=0.0), worker(2, idle_since=5.0))}, Actions(stop=(1,))),
    ],
)
def test_workers_follow_the_need(change, actions):
    assert decide(evolve(COLD, **change)) == actions


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 4), st.floats(0, 1000)), max_size=5), st.integers(0, 50),
    st.floats(0, 10), st.integers(0, 3), st.integers(1, 5),
)  # fmt: skip
def test_no_rule_is_ever_broken(workers, waiting, oldest, least, most):
    seen = tuple(
        worker(i, ready=ready, busy=busy if ready else 0, idle_since=since)
        for i, (ready, busy, since) in enumerate(workers)
    )
    view = evolve(
        COLD, workers=seen, waiting=waiting, oldest_wait=oldest, min_workers=least, max_workers=max(least, most)
    )
    actions = decide(view)
    assert len(seen) + actions.start <= max(view.max_workers, len(seen))
    assert not (actions.start and actions.stop)
    assert len(seen) - len(actions.stop) >= min(least, len(seen))
    assert all(seen[id].ready and not seen[id].busy for id in actions.stop)
    assert not (actions.stop and waiting)
    assert actions.start or seen or not (waiting or least)  # nobody waits for a worker that nobody starts


def test_a_breaker_opens_probes_and_closes():
    breaker = Breaker(failures=3, window=60, pause=10)
    for now in (0, 1):
        breaker.failed(now)
    assert breaker.state(1) is State.CLOSED and breaker.admit(1)
    breaker.failed(2)
    assert breaker.state(2) is State.OPEN and not breaker.admit(11.9)
    assert breaker.retry_after(5) == 7
    assert breaker.state(12) is State.HALF_OPEN
    assert breaker.admit(12) and not breaker.admit(12)
    breaker.abandoned()
    assert breaker.admit(13)
    breaker.succeeded()
    assert breaker.state(13) is State.CLOSED and breaker.admit(13)
    breaker.failed(14)
    assert breaker.state(14) is State.CLOSED


def test_a_probe_that_fails_doubles_the_pause():
    breaker = Breaker(failures=1, window=60, pause=10)
    breaker.failed(0)
    assert breaker.admit(10)
    breaker.failed(11)
    assert breaker.state(30.9) is State.OPEN and breaker.retry_after(11) == 20
    assert breaker.state(31) is State.HALF_OPEN


def test_failures_that_are_far_apart_open_nothing():
    breaker = Breaker(failures=3, window=60, pause=10)
    for now in (0, 50, 61, 115):
        breaker.failed(now)
        assert breaker.state(now) is State.CLOSED
    breaker.failed(116)
    assert breaker.state(116) is State.OPEN


def test_restarts_wait_longer_each_time():
    backoff = Backoff()
    assert backoff.wait(0) == 0
    waits = []
    for _ in range(10):
        backoff.failed(0)
        waits.append(backoff.wait(0))
    assert waits == [0, 0.25, 0.5, 1, 2, 4, 8, 16, 30, 30]
    assert backoff.wait(29) == 1
    backoff.failed(200)
    assert backoff.wait(200) == 0


def test_the_ledger_counts_loads_that_the_system_does_not_see():
    ledger = Ledger(limit=100)
    assert ledger.shortage(60, available=1000) == 0
    ledger.reserve("a", 60)
    assert ledger.shortage(60, available=1000) == 20
    assert ledger.shortage(30, available=80) == 10  # 60 of the 80 are spoken for
    ledger.loaded("a", 50)
    assert ledger.shortage(30, available=80) == 0
    ledger.releasing("a")
    assert (ledger.reserved, ledger.at(Stage.RELEASING)) == (50, 50)
    assert ledger.shortage(60, available=1000) == 10  # it is still there
    assert ledger.released("a") == 50
    assert (ledger.reserved, ledger.released("a")) == (0, 0)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 60), st.sampled_from(["load", "ready", "end"]))))
def test_the_ledger_never_overcommits(steps):
    ledger = Ledger(limit=100)
    for key, size, step in steps:
        if step == "load" and ledger.shortage(size, 1000) == 0 and key not in ledger._entries:
            ledger.reserve(key, size)
        elif step == "ready" and key in ledger._entries:
            ledger.loaded(key, ledger._entries[key].size)
        elif step == "end":
            ledger.releasing(key)
            ledger.released(key)
        assert 0 <= ledger.reserved <= 100


def test_the_memory_of_a_worker_is_predicted(tiny_gguf):
    from pajamas_gguf.session.load import load

    artifact = Artifact(path=tiny_gguf, format="gguf")
    options = LoadOptions(context_length=2048)
    with load(artifact, options) as session:
        assert isinstance(session.architecture, Architecture)
        real = session.memory.total + PROCESS
    assert real <= predict(artifact, options) <= 2 * real
    grown = predict(artifact, evolve(options, max_sequences=4)) - predict(artifact, options)
    assert grown == 3 * 2048 * 2 * 2 * session.architecture.num_layers * (
        session.architecture.num_kv_heads * session.architecture.head_dim
    )


def test_the_memory_of_an_unknown_file_is_its_size(tmp_path):
    path = tmp_path / "x.count"
    path.write_bytes(b"{}")
    assert predict(Artifact(path=path, format="count"), LoadOptions()) >= PROCESS
