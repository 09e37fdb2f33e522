"""Pools of real worker processes on backend `count`, for the tests of their features."""

from __future__ import annotations

import asyncio
import time

from pajamas.types import GenerateRequest
from pajamas_serve.pool.member import Phase
from pajamas_serve.settings import PoolSettings

MIB = 2**20
SETTINGS = PoolSettings(slots=1, min_workers=0, scale_delay=0.05, heartbeat=0.1, patience=1.0, breaker_failures=3)


async def ask(pool, prompt="count 3"):
    """The text of an answer."""
    async with pool.slot() as slot:
        text = ""
        async for chunks in slot.generate(GenerateRequest(prompt=prompt)):
            text += "".join(chunk.text for chunk in chunks)
        return text


async def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came true"
        await asyncio.sleep(0.01)


def pids(pool):
    return [member.worker.pid for member in pool.members.values() if member.phase is Phase.READY]
