"""A pool of workers: they are warmed, come and go with the need, and share memory; each is shown by itself."""

from __future__ import annotations

import asyncio
import time

import pytest
from attrs import evolve

from pajamas.errors import (
    NotEnoughMemory,
)
from pajamas_serve.errors import Unavailable
from pajamas_serve.pool.breaker import State
from pajamas_serve.pool.member import Phase
from pools import MIB, SETTINGS, ask, pids, until
from serving import alive


def test_workers_are_warmed_at_once_and_the_first_serves(run_pools):
    async def test(models):
        pool = models.pools["a"]
        assert [member.phase for member in pool.members.values()] == [Phase.STARTING] * 2
        assert not models.ready
        assert await ask(pool) == "1 2 3 "  # it waited for the first that was ready
        await until(lambda: models.ready)
        assert len(pids(pool)) == 2

    run_pools(test, evolve(SETTINGS, min_workers=2, max_workers=2), a={"load_seconds": 0.3})


def test_workers_come_with_the_queue_and_go_when_idle(run_pools):
    async def test(models):
        pool = models.pools["a"]
        await until(lambda: models.ready)
        busy = [asyncio.ensure_future(ask(pool, "slow 0.02")) for _ in range(5)]
        await until(lambda: pool.ready == 3)
        await asyncio.sleep(0.3)
        assert len(pool.members) == 3 and len(pool.queue) == 2  # no more than max_workers
        gone = pids(pool)
        for task in busy:
            task.cancel()
        await until(lambda: len(pool.members) == 1)
        assert sum(alive(pid) for pid in gone) == 1  # the least that is to be

    run_pools(test, evolve(SETTINGS, min_workers=1, max_workers=3, idle_timeout=0.5))


def test_slots_come_before_workers(run_pools):
    async def test(models):
        pool = models.pools["a"]
        assert await asyncio.gather(ask(pool, "meet"), ask(pool, "meet")) == ["met", "met"]
        assert pool.starts == 1

    run_pools(test, evolve(SETTINGS, slots=2, max_workers=2), a={"parallel": True})


def test_an_idle_model_goes_to_zero_and_a_pinned_one_stays(run_pools):
    async def test(models):
        await until(lambda: models.ready)
        assert not models.pools["b"].members
        await ask(models.pools["b"])
        (pid,) = pids(models.pools["b"])
        await until(lambda: not models.pools["b"].members)
        assert not alive(pid)
        assert models.pools["a"].ready == 1
        assert await ask(models.pools["b"]) == "1 2 3 "

    run_pools(test, evolve(SETTINGS, min_workers=1, idle_timeout=0.3), a={}, b={})


def test_a_hundred_first_requests_load_one_copy(run_pools):
    async def test(models):
        pool = models.pools["b"]
        assert set(await asyncio.gather(*(ask(pool) for _ in range(100)))) == {"1 2 3 "}
        assert pool.starts == 1

    run_pools(test, evolve(SETTINGS, slots=4), a={}, b={"load_seconds": 0.3, "parallel": True})


def test_a_full_queue_refuses(run_pools):
    async def test(models):
        pool = models.pools["a"]
        tasks = [asyncio.ensure_future(ask(pool, "slow 0.01")) for _ in range(3)]
        await until(lambda: len(pool.queue) == 2)
        with pytest.raises(Unavailable, match="queue is full"):
            await ask(pool)
        tasks[1].cancel()
        await until(lambda: len(pool.queue) == 1)
        with pytest.raises(Unavailable, match="No slot was free"):
            await ask(pool)
        for task in tasks:
            task.cancel()

    run_pools(test, evolve(SETTINGS, max_queue=2, queue_timeout=0.3))


def test_room_is_made_by_the_least_recently_used(run_pools):
    async def test(models):
        a, b, c = (models.pools[name] for name in "abc")
        await ask(a)
        await ask(b)
        await ask(a)
        (pid,) = pids(b)
        await ask(c)
        assert (a.ready, b.ready, c.ready) == (1, 0, 1) and not alive(pid)
        assert models.memory.ledger.reserved <= 150 * MIB

    run_pools(test, evolve(SETTINGS, memory_limit=150 * MIB), a={}, b={}, c={})


def test_nothing_is_loaded_that_does_not_fit(run_pools):
    async def test(models):
        a, b = models.pools["a"], models.pools["b"]
        await until(lambda: models.ready)
        with pytest.raises(NotEnoughMemory, match="no room"):
            await ask(b)  # the pinned one does not go
        assert b.starts == 0 and b.breaker.state(time.monotonic()) is State.CLOSED
        assert await ask(a) == "1 2 3 "

    run_pools(test, evolve(SETTINGS, min_workers=1, memory_limit=100 * MIB), a={}, b={})


def test_loads_under_way_count(run_pools):
    async def test(models):
        asking = asyncio.gather(*(ask(models.pools[name]) for name in "abcd"))
        while not asking.done():
            assert models.memory.ledger.reserved <= 150 * MIB
            await asyncio.sleep(0.01)
        assert await asking == ["1 2 3 "] * 4  # each in its turn

    settings = evolve(SETTINGS, memory_limit=150 * MIB)
    run_pools(test, settings, **{name: {"load_seconds": 0.4} for name in "abcd"})


def test_room_is_waited_for_while_others_are_busy(run_pools):
    async def test(models):
        a, b, c = (models.pools[name] for name in "abc")
        await asyncio.gather(ask(a), ask(b))
        busy = asyncio.gather(ask(a, "paced 60"), ask(b, "paced 60"))
        await until(lambda: all(member.busy for pool in (a, b) for member in pool.members.values()))
        assert await ask(c) == "1 2 3 "
        assert len(await busy) == 2  # nobody was ended for it
        held = [asyncio.ensure_future(ask(pool, "slow 0.01")) for pool in (a, c)]
        await until(lambda: all(any(member.busy for member in pool.members.values()) for pool in (a, c)))
        with pytest.raises(NotEnoughMemory, match="no room"):
            await ask(b)
        for task in held:
            task.cancel()

    run_pools(test, evolve(SETTINGS, memory_limit=150 * MIB, queue_timeout=1.5), a={}, b={}, c={})
