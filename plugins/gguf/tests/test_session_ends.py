"""How a session ends while others are busy in it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from pajamas.errors import EngineError
from pajamas.types import GenerateRequest
from pajamas_gguf import engine
from pajamas_gguf.session.uses import Uses

LIMIT = 60

EXITING = """
import sys, threading
from pathlib import Path
from pajamas.types import Artifact, GenerateRequest, LoadOptions
from pajamas_gguf.session.load import load

session = load(Artifact(path=Path(sys.argv[1]), format="gguf"), LoadOptions(threads=2, context_length=2048))
began = threading.Event()

def answer():
    for _ in session.generate(GenerateRequest(prompt="wind", max_tokens=2000, ignore_eos=True)):
        began.set()

threading.Thread(target=answer, daemon=True).start()
began.wait()
"""

FORKING = """
import os, sys
from pathlib import Path
from pajamas.errors import EngineError
from pajamas.types import Artifact, GenerateRequest, LoadOptions
from pajamas_gguf.session.load import load

session = load(Artifact(path=Path(sys.argv[1]), format="gguf"), LoadOptions(threads=2, context_length=256))
list(session.generate(GenerateRequest(prompt="wind", max_tokens=2)))
child = os.fork()
try:
    list(session.generate(GenerateRequest(prompt="wind", max_tokens=2)))
except EngineError as error:
    print(error.what)
if child:
    os.waitpid(child, 0)
"""


def script(text, path):
    command = [sys.executable, "-X", "faulthandler", "-c", text, str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)


def test_what_is_closed_is_freed_after_its_last_reader_has_left():
    freed = []
    uses = Uses(lambda: freed.append(True))
    with uses:
        with uses:
            uses.close()
        assert not freed
        with pytest.raises(EngineError, match="closed"), uses:
            pass
    assert freed == [True]
    uses.close()
    assert freed == [True]


def test_closing_waits_for_a_tokenizer(tiny_q4, load_session):
    """Else the engine reads memory that is not there any more, and the process dies."""
    session = load_session(tiny_q4)
    text, found = "hello world and the like " * 20_000, []
    threads = [threading.Thread(target=lambda: found.append(len(session.tokenize(text)))) for _ in range(2)]
    for thread in threads:
        thread.start()
    while not session._model.uses._count:
        pass
    session.close()
    for thread in threads:
        thread.join(LIMIT)

    assert found and min(found) > 20_000
    with pytest.raises(EngineError, match="closed"):
        session.tokenize("one more")


def test_the_interpreter_exits_while_a_daemon_thread_generates(tiny_q4):
    done = script(EXITING, tiny_q4)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_is_refused(tiny_q4):
    done = script(FORKING, tiny_q4)
    assert done.stdout == "This session belongs to the process that has loaded it.\n", done.stderr


def test_an_error_can_be_told_while_the_engine_logs():
    stop = threading.Event()

    def log():
        while not stop.is_set():
            engine._log.lines.append((0, "a line"))

    thread = threading.Thread(target=log)
    thread.start()
    try:
        for _ in range(300):
            engine.last_error()
    finally:
        stop.set()
        thread.join(LIMIT)


def test_scoring_says_that_its_session_was_closed(tiny_q4, load_session):
    session = load_session(tiny_q4, context_length=512)
    rows = session.score(list(range(10, 500)))
    next(rows)
    session.close()

    with pytest.raises(EngineError, match="closed"):
        list(rows)
    with pytest.raises(EngineError, match="closed"):
        next(session.generate(GenerateRequest(prompt="a")))
