"""How much memory a loaded model takes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pajamas.types import Artifact, GenerateRequest, LoadOptions, Sampling
from pajamas_gguf.session.load import load
from pajamas_gguf.session.pages import forget_copied

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux is told to forget pages")


def mapped(path: Path) -> int:
    """Bytes of the file's pages in this process."""
    found, inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split()[0]:
            inside = line.endswith(str(path.resolve()))
        elif inside and line.startswith("Rss:"):
            found += 1024 * int(line.split()[1])
    return found


def test_pages_of_tensors_that_the_engine_has_copied_are_given_back(tiny_q4, monkeypatch):
    request = GenerateRequest(prompt="Two and two", sampling=Sampling(temperature=0), max_tokens=8)

    def answer(session):
        return "".join(chunk.text for chunk in session.generate(request))

    artifact, options = Artifact(path=tiny_q4, format="gguf"), LoadOptions(context_length=256)
    with monkeypatch.context() as patch:
        patch.setattr("pajamas_gguf.session.session.forget_copied", lambda *_: None)
        with load(artifact, options) as session:
            log = session._model.load_log
            if not any("model buffer size" in line and "_Mapped" not in line for line in log):
                pytest.skip("this build repacks no weights here")
            kept, expected = mapped(tiny_q4), answer(session)

    with load(artifact, options) as session:
        assert mapped(tiny_q4) < kept / 4
        assert answer(session) == expected


def test_a_file_that_is_used_where_it_lies_stays(tiny_q4):
    with load(Artifact(path=tiny_q4, format="gguf"), LoadOptions(context_length=256)):
        before = mapped(tiny_q4)
        forget_copied(["load_tensors:   CPU_Mapped model buffer size =   370.96 MiB"], [tiny_q4])
        assert mapped(tiny_q4) == before
