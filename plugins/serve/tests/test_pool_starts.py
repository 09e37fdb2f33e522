"""When workers are started: again after a failure, later each time, and never what cannot be."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest
from attrs import evolve

from pajamas.errors import NotEnoughMemory, Unsupported
from pajamas_serve.pool.pool import ModelPool
from pools import SETTINGS, ask, pids, until


def test_a_load_that_finds_no_memory_leaves_none_reserved(run_pools):
    async def test(models):
        pool = models.pools["a"]
        for _ in range(2):
            with pytest.raises(NotEnoughMemory, match="device"):
                await ask(pool)
            assert models.memory.ledger.reserved == 0 and not pool.members
            pool.starting._no_room_until = 0.0

    run_pools(test, a={"load": "no room"})


def test_what_the_backend_cannot_do_is_logged_and_not_tried_again(run_pools, caplog):
    async def test(models):
        pool = models.pools["a"]
        for _ in range(2):
            with pytest.raises(Unsupported, match="quantized"):
                await ask(pool)
        assert [record.message for record in caplog.records].count("a: The cache cannot be quantized so.") == 1

    run_pools(test, a={"load": "unsupported"})


def test_restarts_wait_longer_each_time(run_pools):
    async def test(models):
        now = 1000.0
        pool = ModelPool(
            models.specs["a"], evolve(SETTINGS, min_workers=1, breaker_failures=9), models.memory, clock=lambda: now
        )
        models.pools["again"] = pool  # so that it is looked at, and closed
        for pause in (0.0, 0.25, 0.5):
            await until(lambda: pool.ready)
            os.kill(pids(pool)[0], signal.SIGKILL)
            await until(lambda: not pool.ready)
            if pause:
                now += pause * 0.9
                await asyncio.sleep(0.6)  # of the pool's looks; its own clock stands
                assert not pool.members
                now += pause * 0.2
        await until(lambda: pool.ready)
        assert pool.starts == 4

    run_pools(test)
