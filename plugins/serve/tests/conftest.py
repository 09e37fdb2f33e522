"""Servers that tests share."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from pajamas_serve.pool.models import Models
from pajamas_serve.settings import ModelSpec, ServerSettings
from pools import SETTINGS
from serving import COUNT, Server, alive, count_model

MODEL = Path(__file__).parents[2] / "tiny/src/pajamas_tiny/model"


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory):
    """The bundled model, converted."""
    from pajamas.modelfiles import LocalFiles
    from pajamas.source import Source
    from pajamas_gguf.convert.converter import convert

    path = tmp_path_factory.mktemp("serve") / "tiny.gguf"
    convert(LocalFiles(MODEL), Source(text="tiny", kind="folder", path=MODEL), path, name="tiny")
    return path


@pytest.fixture(scope="session")
def tiny(tiny_gguf):
    """A server of the bundled model, for all tests that leave it whole."""
    server = Server("--model", f"tiny={tiny_gguf}", "--threads", 1, "--context", 2048, "--alias", "gpt-4o")
    yield server
    assert server.stop() == 0
    assert "Traceback" not in server.log


@pytest.fixture
def serve():
    """`serve(*arguments)` starts a server for one test."""
    servers = []

    def serve(*arguments, **options):
        servers.append(Server(*arguments, **options))
        return servers[-1]

    yield serve
    for server in servers:
        server.stop()


@pytest.fixture
def run_pools(monkeypatch, tmp_path):
    """`run_pools(test, settings, name={details}, ...)` runs `test(models)`; the first is pinned. None stays behind."""
    monkeypatch.setenv("PYTHONPATH", str(COUNT), prepend=os.pathsep)
    monkeypatch.syspath_prepend(str(COUNT))

    def run(test, settings=SETTINGS, **models):
        specs = tuple(
            ModelSpec(name=name, reference=count_model(tmp_path, name, **details), pinned=number == 0)
            for number, (name, details) in enumerate((models or {"a": {}}).items())
        )
        pids = set()

        async def main():
            found = Models(ServerSettings(models=specs, pool=settings))
            found.start()
            try:
                await asyncio.wait_for(test(found), 60)
            finally:
                for pool in found.all_pools:
                    pids.update(m.worker.pid for m in pool.members.values() if m.worker)
                await found.close()

        asyncio.run(main())
        assert not [pid for pid in pids if alive(pid)]

    return run
