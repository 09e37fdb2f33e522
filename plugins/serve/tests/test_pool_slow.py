"""A look-up can take as long as a download: nothing else waits for it, neither requests nor faults nor the end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from attrs import evolve

from pajamas_serve.pool.pool import ModelPool
from pajamas_serve.settings import ModelSpec
from pools import SETTINGS, ask, pids, until


def test_slow_look_ups_hold_nothing_up(run_pools, tmp_path):
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\ncase "$*" in *slow*) echo $$ >> {tmp_path}/pids; exec sleep 300;; esac\n'
        f'exec {sys.executable} "$@"\n'
    )
    python.chmod(0o755)

    async def test(models):
        pool = models.pools["a"]
        await until(lambda: models.ready)
        settings = evolve(pool.settings, python=python)
        for number in range(12):  # more than asyncio has threads
            spec = ModelSpec(name=f"slow{number}", reference=f"slow{number}")
            models.pools[spec.name] = ModelPool(spec, settings, models.memory)
        waiting = [asyncio.ensure_future(ask(models.pools[f"slow{number}"])) for number in range(12)]
        await until(lambda: (tmp_path / "pids").exists() and len((tmp_path / "pids").read_text().split()) == 12)
        os.kill(pids(pool)[0], signal.SIGKILL)
        await until(lambda: not pool.ready, 5)
        assert await asyncio.wait_for(ask(pool), 20) == "1 2 3 "
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    try:
        run_pools(test, evolve(SETTINGS, min_workers=1))  # and it comes to its end
    finally:
        for pid in (tmp_path / "pids").read_text().split():
            os.kill(int(pid), signal.SIGKILL)
