"""Workers that cannot begin: interpreters and backends that are not there, or are not what they should be."""

from __future__ import annotations

import sys
import venv

import pytest

from pajamas.errors import EngineCrashed, EngineError, EngineMissing, UsageError


def test_a_backend_that_is_not_there(start):
    with pytest.raises(UsageError, match="no backend 'nobody'"):
        start(backend="nobody")


def test_an_interpreter_that_is_not_there(start, tmp_path):
    with pytest.raises(EngineError, match="cannot be started") as caught:
        start(python=tmp_path / "python")

    assert "No such file" in caught.value.why


def test_an_interpreter_without_pajamas(start, tmp_path):
    venv.create(tmp_path / "env", symlinks=True)

    with pytest.raises(EngineMissing) as caught:
        start(python=tmp_path / "env" / "bin" / "python")

    assert "has no pajamas" in caught.value.what
    assert "-m pip install pajamas==" in caught.value.fix


def test_an_interpreter_with_another_version(start, tmp_path):
    script = f"""#!{sys.executable}
import os, sys
sys.path[:0] = {sys.path!r}
from pajamas.worker.protocol import Hello, encode
os.write(int(sys.argv[-2]), encode(Hello(protocol=1, version="99.0")))
sys.stdin.read()
"""
    python = tmp_path / "python"
    python.write_text(script)
    python.chmod(0o755)

    with pytest.raises(EngineError, match=r"runs pajamas 99\.0"):
        start(python=python)


def test_an_interpreter_that_speaks_something_else(start, tmp_path):
    python = tmp_path / "python"
    python.write_text(f"#!{sys.executable}\nimport os, sys\nos.write(int(sys.argv[-2]), b'hello there')\n")
    python.chmod(0o755)

    with pytest.raises(EngineCrashed, match="protocol"):
        start(python=python)
