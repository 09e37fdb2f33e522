"""A pool whose backend has an environment of its own."""

from __future__ import annotations

import sys
from pathlib import Path

from pajamas.environments import record
from pajamas.environments.record import EnvironmentRecord
from pajamas.plugin_entries import core_version
from pajamas_serve.pool.selection import select
from pajamas_serve.settings import ModelSpec, PoolSettings

TINY = Path(__file__).parents[2] / "tiny/src/pajamas_tiny/model"


def test_its_workers_run_there(tmp_path, monkeypatch):
    """What stands in the record is taken: nothing of vLLM is run to choose it."""
    monkeypatch.setenv("PAJAMAS_ENVIRONMENTS", str(tmp_path))
    monkeypatch.delenv("PAJAMAS_VLLM_PYTHON", raising=False)
    python = tmp_path / "vllm/1a2b/python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    record.write(EnvironmentRecord(
        name="vllm", backend="vllm", variant="cpu", python=python, python_version="3", made="", requirements=(),
        pajamas=core_version(),
    ))  # fmt: skip

    found = select(ModelSpec(name="tiny", reference=str(TINY)), PoolSettings(backend="vllm"))

    assert (found.backend, found.python) == ("vllm", python)
    assert select(ModelSpec(name="tiny", reference=str(TINY)), PoolSettings(backend="mlx")).python is None
