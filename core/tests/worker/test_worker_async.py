"""A worker that an event loop talks to: the same answers, and no way of ending it early that leaves a trace."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from pajamas.errors import EngineCrashed, EngineError, ModelFileError
from pajamas.types import Artifact, GenerateRequest, LoadOptions
from pajamas.worker.asynchronous import AsyncWorker

ARTIFACT = Artifact(path=Path("model.count"), format="count")


def ask(prompt):
    return GenerateRequest(prompt=prompt)


def loaded(details=None, **options):
    artifact = Artifact(path=ARTIFACT.path, format="count", details=details or {})
    return AsyncWorker.start("count", artifact, LoadOptions(context_length=50), **options)


@pytest.fixture
def run(start):
    """Run a coroutine with a loaded worker; the fixture `start` proves that nothing of it stays behind."""

    def run(use, details=None, **options):
        async def main():
            worker = await loaded(details, **options)
            try:
                return await use(worker)
            finally:
                await worker.close()

        return asyncio.run(main())

    return run


def test_answers_facts_and_arrays_are_those_of_the_session(run, count_session):
    async def use(worker):
        assert worker.facts.context_length == 50
        assert worker.facts.chat_template == count_session.chat_template
        assert await worker.tokenize("ab", add_special=False) == [97, 98]
        assert await worker.detokenize([97, 98]) == "ab"
        assert np.array_equal(await worker.embed(["a", "bcd"]), count_session.embed(["a", "bcd"]))
        blocks = [block async for block in worker.score(list(range(10)), 3)]
        assert np.array_equal(np.concatenate(blocks), np.concatenate(list(count_session.score(list(range(10)), 3))))
        return [chunk async for chunk in worker.generate(ask("count 40"))]

    assert run(use) == list(count_session.generate(ask("count 40")))


def test_calls_run_side_by_side(run):
    async def use(worker):
        async def text():
            return "".join([chunk.text async for chunk in worker.generate(ask("meet"))])

        return await asyncio.gather(text(), text())

    assert run(use, {"parallel": True}) == ["met", "met"]


def test_what_has_arrived_is_taken_without_waiting(run):
    async def use(worker):
        stream = worker.generate(ask("count 5"))
        first = await anext(stream)
        await worker.embed(["a"])  # it waits for the stream to end
        rest = []
        while (chunk := stream.ready()) is not None:
            rest.append(chunk.text)
        return first.text, rest, [chunk async for chunk in stream]

    assert run(use) == ("1 ", ["2 ", "3 ", "4 ", "5 ", ""], [])


def test_a_stream_that_is_closed_stops_the_engine(run):
    async def use(worker):
        stream = worker.generate(ask("slow 0.01"))
        await anext(stream)
        stream.close()
        assert [chunk async for chunk in stream] == []
        return (await anext(worker.generate(ask("events")))).text

    assert run(use).startswith("slow closed")


@pytest.mark.parametrize("prompt, whole", [("count 5", True), ("bug", False), ("abort", False)])
def test_the_end_is_told_though_nobody_reads(run, prompt, whole):
    async def use(worker):
        told = asyncio.get_running_loop().create_future()
        stream = worker.generate(ask(prompt), on_end=told.set_result)
        first = await anext(stream)
        return first.text, await asyncio.wait_for(told, 20)

    assert run(use) == ("1 " if whole else "one ", whole)


def test_a_crash_ends_every_call_and_is_told(run):
    told = []

    async def use(worker):
        streams = [worker.generate(ask("slow 0.01")) for _ in range(2)]
        for stream in streams:
            await anext(stream)
        os.kill(worker.pid, signal.SIGKILL)
        for stream in streams:
            with pytest.raises(EngineCrashed, match="SIGKILL"):
                [chunk async for chunk in stream]
        assert worker.dead
        with pytest.raises(EngineCrashed):
            await worker.tokenize("a")

    run(use, {"parallel": True}, on_exit=told.append)
    assert [type(error) for error in told] == [EngineCrashed]


def test_a_worker_that_hangs_is_killed(run):
    async def use(worker):
        with pytest.raises(EngineCrashed, match="hung"):
            [chunk async for chunk in worker.generate(ask("hang"))]

    run(use, heartbeat=0.1, patience=0.5)


@pytest.mark.parametrize("fault, error", [("refuse", ModelFileError), ("crash", EngineCrashed), ("bug", EngineError)])
def test_a_load_that_fails_says_why(start, fault, error):
    with pytest.raises(error):
        asyncio.run(loaded({"load": fault}))


@pytest.mark.parametrize("seconds", [0.0, 0.3])
def test_a_load_that_is_cancelled_leaves_no_process(start, seconds):
    async def main():
        load = asyncio.ensure_future(loaded({"load_seconds": 600}))
        await asyncio.sleep(seconds)
        load.cancel()
        with pytest.raises(asyncio.CancelledError):
            await load

    asyncio.run(main())


def test_a_closed_worker_says_so(start):
    async def main():
        worker = await loaded()
        await worker.close()
        with pytest.raises(EngineError, match="closed"):
            await worker.tokenize("a")

    asyncio.run(main())


def test_what_the_pipe_does_not_take_at_once_follows_without_holding_up_the_loop(run):
    text = "long " * 200_000

    async def use(worker):
        os.kill(worker.pid, signal.SIGSTOP)
        asks = [asyncio.ensure_future(worker.tokenize(part, add_special=False)) for part in (text, "ab", text)]
        for _ in range(3):
            await asyncio.sleep(0.01)
        assert not any(ask.done() for ask in asks)
        os.kill(worker.pid, signal.SIGCONT)
        return [len(tokens) for tokens in await asyncio.gather(*asks)]

    assert run(use) == [len(text), 2, len(text)]


def test_a_worker_that_says_nothing_is_not_responsive(run):
    async def use(worker):
        assert worker.responsive
        os.kill(worker.pid, signal.SIGSTOP)
        async with asyncio.timeout(20):
            while worker.responsive:
                await asyncio.sleep(0.01)
        os.kill(worker.pid, signal.SIGCONT)
        assert await worker.tokenize("a", add_special=False) == [97]
        return worker.responsive

    assert run(use, heartbeat=0.1, patience=60)
