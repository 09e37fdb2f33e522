"""Workers that are ended: never under somebody who uses them, and their memory comes back."""

from __future__ import annotations

import asyncio
import time

import pytest
from attrs import evolve

from pajamas.errors import EngineCrashed
from pajamas_serve.pool.breaker import State
from pajamas_serve.pool.member import Phase
from pools import SETTINGS, ask, until


def test_a_worker_that_is_ended_as_idle_gets_no_more_requests(run_pools):
    async def test(models):
        pool = models.pools["b"]
        await ask(pool)
        (member,) = pool.members.values()
        member.idle_since -= 1000
        pool.review()
        assert member.phase is Phase.ENDING  # at once: the next request may come in the same turn of the loop
        assert await ask(pool) == "1 2 3 "
        assert pool.starts == 2

    run_pools(test, evolve(SETTINGS, idle_timeout=500), a={}, b={})


@pytest.mark.parametrize("loaded", [True, False])
def test_a_worker_is_not_ended_under_a_call_that_takes_no_slot(run_pools, loaded):
    async def test(models):
        pool = models.pools["b"]
        if loaded:
            await ask(pool)
        async with pool.any_worker() as worker:
            pool.review()
            await asyncio.sleep(0.1)
            assert not await models._evict(models.pools["a"])
            assert await worker.detokenize([97]) == "a"
        await until(lambda: not pool.members)

    run_pools(test, evolve(SETTINGS, idle_timeout=0.0 if not loaded else 0.05), a={}, b={})


def test_a_probe_that_computes_nothing_closes_no_breaker(run_pools):
    async def test(models):
        pool = models.pools["a"]
        for _ in range(3):
            with pytest.raises(EngineCrashed):
                await ask(pool, "abort")
        await until(lambda: pool.breaker.state(time.monotonic()) is State.HALF_OPEN)
        async with pool.any_worker() as worker:
            assert await worker.detokenize([97]) == "a"
        pool.facts = None
        await pool.learn()
        assert pool.breaker.state(time.monotonic()) is State.HALF_OPEN
        assert await ask(pool) == "1 2 3 "
        assert pool.breaker.state(time.monotonic()) is State.CLOSED

    run_pools(test, evolve(SETTINGS, breaker_pause=0.3))
