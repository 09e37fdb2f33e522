"""Shell completion, asked for as bash asks."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = "import sys; from pajamas.cli import main; main.main()"


def complete(*words, code=PROGRAM):
    variables = {"COMP_WORDS": " ".join(["pajamas", *words]), "COMP_CWORD": str(len(words)),
                 "_PAJAMAS_COMPLETE": "bash_complete"}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | variables, capture_output=True, text=True, timeout=60
    )
    assert done.stderr == "" or "LOADED" in done.stderr
    return done


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("c",), ["plain,convert", "plain,chat"]),
        (("generate", "--max"), ["plain,--max-tokens"]),
        (("generate", "--mode", "t"), ["plain,thinking"]),
        (("generate", "--model", "qwen3-8"), ["plain,qwen3-8b", "file,qwen3-8"]),
        (("info", "qwen3-8"), ["plain,qwen3-8b", "file,qwen3-8"]),
        (("--backend", "c"), ["plain,cuda", "plain,cpu"]),
        (("chat", "--backend", "me"), ["plain,metal"]),
    ],
)
def test_completion(words, offered):
    assert complete(*words).stdout.split() == offered


@pytest.mark.parametrize("words", [("c",), ("generate", "--model", "q")])
def test_completion_imports_no_engine(words):
    code = f"""
import atexit, sys
atexit.register(lambda: sys.stderr.write("LOADED " + " ".join(sys.modules)))
{PROGRAM}
"""
    loaded = set(complete(*words, code=code).stderr.split())

    assert "click" in loaded
    assert loaded.isdisjoint({"llama_cpp", "numpy", "torch", "rich", "huggingface_hub", "pajamas_gguf.engine"})
