"""Which worker a request goes to, and what happens to requests when files and processes are not as they were."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from pajamas.errors import EngineError, ModelNotFound
from pajamas_serve.pool.beginnings import Beginnings, marks
from pajamas_serve.pool.memory import Memory
from pools import SETTINGS, ask, pids, until
from serving import count_model


@given(st.integers(0, 2000), st.integers(0, 2000), st.integers(0, 2000))
def test_marks_are_equal_as_far_as_prompts_are(common, one, other):
    first, second = marks("a" * common + "b" * one), marks("a" * common + "c" * other)
    known = Beginnings()
    known.add(first, most=1)
    assert known.common(second) == (common // 512 if one and other else min(len(first), len(second)))
    tokens = [1] * common
    assert len(marks(tokens)) == common // 128 and marks(tuple(tokens)) == marks(tokens)


def test_beginnings_are_those_of_the_last_prompts():
    known = Beginnings()
    a, b, c = (marks(letter * 2048) for letter in "abc")
    known.add(b, most=2)
    known.add(a[:2], most=2)
    known.add(a, most=2)  # goes on from the one before, and takes its place
    assert (known.common(a), known.common(b[:1]), known.common(c), known.common(())) == (4, 1, 0, 0)
    known.add(c, most=2)
    assert (known.common(a), known.common(b), known.common(c)) == (4, 0, 4)


async def pid_for(pool, prompt, until=None):
    async with pool.slot(prompt) as slot:
        if until is not None:
            await until.wait()
        return slot.worker.pid


def test_a_prompt_goes_to_the_worker_that_knows_its_beginning(run_pools):
    async def test(models):
        pool = models.pools["a"]
        await until(lambda: models.ready)
        texts = {letter: letter * 600 for letter in "xyz"}
        done = asyncio.Event()
        held = [asyncio.ensure_future(pid_for(pool, text, done)) for text in texts.values()]
        await until(lambda: sum(member.busy for member in pool.members.values()) == 3)
        done.set()
        first = dict(zip(texts, await asyncio.gather(*held), strict=True))
        assert len(set(first.values())) == 3
        for letter in "zxyyxz":
            assert await pid_for(pool, texts[letter] + "more") == first[letter]
        done.clear()
        held = [asyncio.ensure_future(pid_for(pool, texts["x"], done)) for _ in range(4)]
        await until(lambda: sum(member.busy for member in pool.members.values()) == 4)
        done.set()
        given = await asyncio.gather(*held)
        assert given.count(first["x"]) == 3  # not all to the one that knows it, though it has a place

    settings = evolve(SETTINGS, min_workers=3, max_workers=3, slots=4)
    run_pools(test, settings, a={"parallel": True})


def test_a_worker_that_gives_no_sign_gets_no_requests(run_pools):
    async def test(models):
        pool = models.pools["a"]
        await until(lambda: models.ready)
        stopped = pids(pool)[0]
        os.kill(stopped, signal.SIGSTOP)
        await until(lambda: sum(member.able is not None for member in pool.members.values()) == 1)
        assert await asyncio.wait_for(asyncio.gather(*(ask(pool) for _ in range(4))), 10) == ["1 2 3 "] * 4
        async with pool.any_worker() as worker:
            assert worker.pid != stopped
        os.kill(stopped, signal.SIGCONT)
        await until(lambda: sum(member.able is not None for member in pool.members.values()) == 2)
        assert pool.crashes == 0

    run_pools(test, evolve(SETTINGS, min_workers=2, max_workers=2, patience=60.0))


def test_room_that_is_on_its_way_is_waited_for():
    async def main():
        async def nobody(owner):
            return False

        memory = Memory(100, nobody)
        await memory.reserve("a", 80, None)
        memory.ledger.releasing("a")
        waiting = asyncio.ensure_future(memory.reserve("b", 80, None))
        await asyncio.sleep(0)
        assert not waiting.done()
        await memory.release("a", None)
        await asyncio.wait_for(waiting, 10)
        assert memory.ledger.reserved == 80

    asyncio.run(main())


def test_a_model_file_that_goes_and_comes_back(run_pools, tmp_path):
    async def test(models):
        pool = models.pools["a"]
        assert await ask(pool) == "1 2 3 "
        (tmp_path / "a.count").unlink()
        assert await ask(pool) == "1 2 3 "  # what is loaded stays
        os.kill(pids(pool)[0], signal.SIGKILL)
        await until(lambda: not pool.ready)
        with pytest.raises(ModelNotFound):
            await ask(pool)
        count_model(tmp_path, "a", parallel=True)
        assert await ask(pool) == "1 2 3 "

    run_pools(test)


def test_an_error_that_nobody_expected_is_told_too(run_pools):
    async def test(models):
        with pytest.raises(EngineError, match="No worker could be started"):
            await ask(models.pools["a"])

    run_pools(test, evolve(SETTINGS, python=Path("no\0path")))
