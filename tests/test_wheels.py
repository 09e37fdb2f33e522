"""Every distribution builds a wheel and works beside core alone, without the workspace."""

from __future__ import annotations

import subprocess
from pathlib import Path

MODEL = Path(__file__).parents[1] / "plugins/tiny/src/pajamas_tiny/model"


def pajamas(python: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([python.with_name("pajamas"), *arguments], capture_output=True, text=True, timeout=120)


def test_core_alone_works_and_says_what_is_missing(install):
    python = install("pajamas")

    assert pajamas(python, "plugins").returncode == 0
    assert "qwen3-8b" in pajamas(python, "list").stdout
    refused = pajamas(python, "convert", "--model", str(MODEL))
    assert refused.returncode == 4
    assert "pip install pajamas-gguf" in refused.stderr


def test_the_backend_beside_core_alone_converts_a_folder(install, tmp_path):
    python = install("pajamas", "pajamas-gguf")

    done = pajamas(python, "convert", "--model", str(MODEL), "--output", str(tmp_path / "out"))

    assert (done.returncode, done.stderr if done.returncode else "") == (0, "")
    assert (tmp_path / "out/gguf/model-q4_k_m.gguf").is_file()


def test_the_model_beside_core_alone_is_found_by_its_alias(install):
    python = install("pajamas", "pajamas-tiny")

    assert "4.20M parameters" in pajamas(python, "info", "tiny").stdout
