"""The bundled model as GGUF files of several schemes, and its evaluation text."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import pajamas

sys.path.append(str(Path(__file__).parent))  # for the modules that several tests share

TINY = Path(__file__).parents[2] / "tiny/src/pajamas_tiny/model"


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """Caches and the model store of this run only, by the variables that name them."""
    names = ("XDG_CACHE_HOME", "XDG_DATA_HOME", "PAJAMAS_MODELS")
    return {name: str(tmp_path_factory.mktemp(name.lower())) for name in names}


@pytest.fixture(scope="module", autouse=True)
def own_folders(folders):
    """Set for these tests only: others run in the same process."""
    with pytest.MonkeyPatch.context() as patch:
        for name, folder in folders.items():
            patch.setenv(name, folder)
        yield


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory):
    """A function from a scheme to the bundled model's GGUF file of it, each made once."""
    folder = tmp_path_factory.mktemp("tiny")
    made = {}

    def make(scheme):
        if scheme not in made:
            made[scheme] = pajamas.run("convert", model=TINY, output=folder, precision=scheme).gguf_path
        return made[scheme]

    return make


@pytest.fixture(scope="session")
def tiny_text():
    """The bundled evaluation text as plain text: contents joined by newlines, conversations by blank lines."""
    lines = (TINY / "eval.jsonl").read_text(encoding="utf-8").splitlines()
    conversations = [[message["content"] for message in json.loads(line)["messages"]] for line in lines]
    return "\n\n".join("\n".join(contents) for contents in conversations)
