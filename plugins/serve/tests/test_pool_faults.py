"""What goes wrong with workers, and what the pool makes of it: restarts, kills, the breaker, requests that leave."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from attrs import evolve

from pajamas.errors import (
    EngineCrashed,
    EngineError,
    EngineMissing,
    ModelFileError,
    ModelNotFound,
)
from pajamas.types import GenerateRequest
from pajamas_serve.errors import Stalled, Unavailable
from pajamas_serve.pool.breaker import State
from pajamas_serve.pool.pool import ModelPool
from pajamas_serve.settings import ModelSpec
from pools import MIB, SETTINGS, ask, pids, until


def test_a_worker_that_is_killed_comes_back(run_pools):
    async def test(models):
        pool = models.pools["a"]
        await until(lambda: models.ready)
        task = asyncio.ensure_future(ask(pool, "slow 0.01"))
        await until(lambda: any(member.busy for member in pool.members.values()))
        os.kill(pids(pool)[0], signal.SIGKILL)
        with pytest.raises(EngineCrashed, match="SIGKILL"):
            await task
        await until(lambda: models.ready)
        assert await ask(pool) == "1 2 3 "
        assert (pool.crashes, pool.starts) == (1, 2)
        assert models.memory.ledger.reserved < 100 * MIB

    run_pools(test, evolve(SETTINGS, min_workers=1))


def test_a_crash_leaves_the_other_workers_requests_alone(run_pools):
    async def test(models):
        pool = models.pools["a"]
        await until(lambda: models.ready)
        answers = await asyncio.gather(ask(pool, "abort"), ask(pool, "count 9"), return_exceptions=True)
        assert isinstance(answers[0], EngineCrashed) and answers[1].endswith("9 ")

    run_pools(test, evolve(SETTINGS, min_workers=2, max_workers=2))


def test_a_hung_worker_is_killed_and_its_request_answered(run_pools):
    async def test(models):
        pool = models.pools["a"]
        with pytest.raises(EngineCrashed, match="hung"):
            await ask(pool, "hang")
        assert await ask(pool) == "1 2 3 "

    run_pools(test)


def test_a_stalled_worker_is_killed_though_it_answers_pings(run_pools):
    async def test(models):
        pool = models.pools["a"]
        with pytest.raises(Stalled, match="gave no token"):
            await ask(pool, "sleep")
        assert await ask(pool) == "1 2 3 "

    run_pools(test, evolve(SETTINGS, stall_timeout=0.5))


def test_a_client_that_does_not_read_makes_no_worker_stall(run_pools):
    async def test(models):
        pool = models.pools["a"]
        async with pool.slot() as slot:
            stream = slot.generate(GenerateRequest(prompt="paced 200"))
            await anext(stream)
            await until(lambda: pool.crashes or not any(member.busy for member in pool.members.values()))
            assert sum([len(chunks) async for chunks in stream]) > 100 and pool.crashes == 0

    run_pools(test, evolve(SETTINGS, stall_timeout=0.6))


def test_the_breaker_opens_and_one_request_probes(run_pools):
    async def test(models):
        pool = models.pools["a"]
        for _ in range(3):
            with pytest.raises(EngineCrashed):
                await ask(pool, "abort")
        assert pool.breaker.state(time.monotonic()) is State.OPEN
        with pytest.raises(Unavailable, match="again and again") as refused:
            await ask(pool)
        assert 0 < refused.value.retry_after <= 1.0
        await until(lambda: pool.breaker.state(time.monotonic()) is State.HALF_OPEN)
        probe = asyncio.ensure_future(ask(pool))
        await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            await ask(pool)
        assert await probe == "1 2 3 "
        assert pool.breaker.state(time.monotonic()) is State.CLOSED
        assert await ask(pool) == "1 2 3 "

    run_pools(test, evolve(SETTINGS, breaker_pause=1.0))


def test_a_probe_that_fails_opens_the_breaker_again(run_pools):
    async def test(models):
        pool = models.pools["a"]
        for _ in range(2):
            with pytest.raises(EngineCrashed):
                await ask(pool, "abort")
        await until(lambda: pool.breaker.state(time.monotonic()) is State.HALF_OPEN)
        with pytest.raises(EngineCrashed):
            await ask(pool, "abort")
        assert pool.breaker.state(time.monotonic()) is State.OPEN
        assert pool.breaker.retry_after(time.monotonic()) > 0.6

    run_pools(test, evolve(SETTINGS, breaker_failures=2, breaker_pause=0.5))


def test_workers_may_live_in_another_environment(run_pools):
    async def test(models):
        pool = models.pools["a"]
        assert await ask(pool) == "1 2 3 "
        with pytest.raises(ModelNotFound):
            await ask(models.pools["b"])

    async def missing(models):
        models.pools["b"] = ModelPool(
            ModelSpec(name="b", reference="/nowhere"), models.pools["a"].settings, models.memory
        )
        await test(models)

    run_pools(missing, evolve(SETTINGS, python=Path(sys.executable)))


def test_an_environment_without_pajamas_is_told(run_pools, tmp_path):
    async def test(models):
        with pytest.raises(EngineMissing, match="look up models"):
            await ask(models.pools["a"])

    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no module >&2\nexit 1\n")
    python.chmod(0o755)
    run_pools(test, evolve(SETTINGS, python=python))


@pytest.mark.parametrize("fault, error", [("refuse", ModelFileError), ("crash", EngineCrashed), ("bug", EngineError)])
def test_a_model_that_cannot_be_loaded_says_why(run_pools, fault, error):
    async def test(models):
        pool = models.pools["a"]
        answers = await asyncio.gather(*(ask(pool) for _ in range(5)), return_exceptions=True)
        assert {type(answer) for answer in answers} <= {error, Unavailable}
        assert error in {type(answer) for answer in answers}
        assert models.memory.ledger.reserved == 0

    run_pools(test, a={"load": fault})


def test_a_request_that_leaves_frees_its_slot_at_once(run_pools):
    async def test(models):
        pool = models.pools["a"]
        for prompt in ("slow 0.01", "sleep"):
            task = asyncio.ensure_future(ask(pool, prompt))
            await until(lambda: any(member.busy for member in pool.members.values()))
            await asyncio.sleep(0.1)
            task.cancel()
            began = time.monotonic()
            events = await ask(pool, "events")
            assert time.monotonic() - began < 5 and prompt.split()[0] in events
        assert pool.starts == 1

    run_pools(test)


def test_the_server_stops_though_a_model_is_loading(run_pools):
    async def test(models):
        await until(lambda: models.pools["a"].members)
        waiting = asyncio.ensure_future(ask(models.pools["a"]))
        await asyncio.sleep(0.3)
        await models.close()
        with pytest.raises(Unavailable, match="stopping"):
            await waiting

    run_pools(test, evolve(SETTINGS, min_workers=1), a={"load_seconds": 600})


def test_requests_that_wait_are_not_given_to_a_dead_worker(run_pools):
    async def test(models):
        pool = models.pools["a"]
        first = asyncio.ensure_future(ask(pool, "slow 0.01"))
        await until(lambda: any(member.busy for member in pool.members.values()))
        others = [asyncio.ensure_future(ask(pool)) for _ in range(5)]
        await until(lambda: len(pool.queue) == 5)
        os.kill(pids(pool)[0], signal.SIGKILL)
        with pytest.raises(EngineCrashed):
            await first
        assert await asyncio.gather(*others) == ["1 2 3 "] * 5

    run_pools(test)
