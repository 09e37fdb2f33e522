"""The process that measures."""

from __future__ import annotations

import sys
from pathlib import Path

from attrs import evolve

from pajamas.backend import Backend
from pajamas.types import Artifact, LoadOptions
from pajamas.worker.client import WorkerSession
from pajamas_bench.child import Child
from pajamas_bench.messages import Load


def test_an_engine_with_an_environment_of_its_own_is_measured_in_it(echo_model, monkeypatch):
    described = Backend.describe
    elsewhere = lambda backend, **options: evolve(described(backend, **options), python=Path(sys.executable))  # noqa: E731
    monkeypatch.setattr(Backend, "describe", elsewhere)
    child = Child()
    loaded = child.answer(
        Load(backend="echo", artifact=Artifact(path=echo_model, format="echo"), options=LoadOptions())
    )

    assert isinstance(child.asker.session, WorkerSession) and loaded.context_length > 0
    child.close()
