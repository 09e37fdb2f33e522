"""Who may be computed beside whom: usual requests together, exact ones alone, in the order in which they came."""

from __future__ import annotations

import asyncio

import pytest

from pajamas_vllm.session.gate import Gate


def run(*arrivals):
    """What each of (name, alone, arrives at, stays) sees beside itself; times are turns of the event loop."""

    async def all_of_them():
        gate, inside, seen = Gate(), set(), {}

        async def visit(name, alone, arrives, stays):
            for _ in range(arrives):
                await asyncio.sleep(0)
            async with gate.enter(alone=alone):
                inside.add(name)
                seen[name] = set()
                for _ in range(stays):
                    seen[name] |= inside - {name}
                    await asyncio.sleep(0)
                inside.discard(name)

        await asyncio.wait_for(asyncio.gather(*(visit(*arrival) for arrival in arrivals)), 5)
        return seen

    return asyncio.run(all_of_them())


def test_usual_requests_are_together():
    seen = run(("a", False, 0, 10), ("b", False, 1, 10))

    assert seen == {"a": {"b"}, "b": {"a"}}


def test_an_exact_one_is_alone_and_nobody_passes_it():
    seen = run(("a", False, 0, 10), ("exact", True, 2, 10), ("late", False, 4, 10))

    assert seen == {"a": set(), "exact": set(), "late": set()}


def test_one_that_is_cancelled_just_when_another_leaves_is_only_cancelled():
    async def scene():
        gate = Gate()

        async def visit():
            async with gate.enter(alone=False):
                pass

        async with gate.enter(alone=True):
            waiting = asyncio.create_task(visit())
            await asyncio.sleep(0)
            waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.wait_for(visit(), 5)

    asyncio.run(scene())


@pytest.mark.parametrize("alone", [True, False])
def test_one_that_waits_and_is_cancelled_is_in_nobodys_way(alone):
    async def scene():
        gate = Gate()
        entered = []

        async def visit(name, alone):
            async with gate.enter(alone=alone):
                entered.append(name)
                await asyncio.sleep(0)

        async with gate.enter(alone=True):
            waiting = asyncio.create_task(visit("cancelled", alone))
            last = asyncio.create_task(visit("last", True))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.sleep(0)
        await asyncio.wait_for(last, 5)
        return entered

    assert asyncio.run(scene()) == ["last"]
