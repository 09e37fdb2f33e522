"""Workers that are ended: never under somebody who uses them, and their memory comes back."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time

import pytest
from attrs import evolve

from pajamas.errors import EngineCrashed
from pajamas_serve.pool import memory
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


@pytest.mark.parametrize("returns", [True, False])
def test_memory_that_does_not_come_back_is_told(monkeypatch, caplog, returns):
    """What the system has is a fake: other programs change it."""
    free = 10**9
    monkeypatch.setattr(memory, "available", lambda: free)
    monkeypatch.setattr(memory, "_RETURN_SECONDS", 0.3)

    async def main():
        nonlocal free
        found = memory.Memory(10**9, None)
        await found.reserve("a", 4 * 10**8, None)
        code = "data = b'x' * (300 << 20); print(flush=True); input()"
        with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1) as process:
            process.stdout.readline()
            held = found.held(process.pid)
            assert 300 << 20 <= held.size < 400 << 20
            process.kill()
        assert found.held(process.pid) is None
        releasing = asyncio.ensure_future(found.release("a", process.pid, held))
        await asyncio.sleep(0.1)
        assert found.ledger.reserved  # not before it is seen
        free += held.size if returns else 0
        await releasing
        assert found.ledger.reserved == 0

    asyncio.run(main())
    assert sum("held 3" in record.message for record in caplog.records) == (not returns)
