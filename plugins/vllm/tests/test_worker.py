"""vLLM in a worker of its environment, as this program uses it: answers, and what comes of killing the engine."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from pajamas.errors import EngineCrashed
from pajamas.types import LoadOptions
from pajamas.worker.client import WorkerSession
from questions import MODEL, STORY, request, text_of, tokens_of

OPTIONS = LoadOptions(context_length=1024, threads=1)


pytestmark = pytest.mark.slow  # each start of vLLM takes ten seconds and more


@pytest.fixture(scope="module")
def session(vllm_python):
    with_engine = WorkerSession.start("vllm", MODEL, OPTIONS, python=vllm_python)
    yield with_engine
    with_engine.close()


def engine_of(leader):
    """The process ids of vLLM's own processes in the group of this process."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            group = int((folder / "stat").read_text().rpartition(")")[2].split()[2])
            command = (folder / "cmdline").read_bytes()
        except (OSError, ValueError):  # it is gone
            continue
        if group == leader and b"VLLM::" in command:
            found.append(int(folder.name))
    return found


def test_answers_and_scores_come_through_the_worker(session):
    chunks = list(session.generate(request(logprobs=2)))
    window = [*session.tokenize(STORY), *tokens_of(chunks)]
    rows = np.concatenate(list(session.score(window)))

    assert text_of(chunks) == session.detokenize(tokens_of(chunks))
    assert rows.shape == (len(window), 4096)
    start = len(window) - len(tokens_of(chunks))
    entries = [entry for chunk in chunks for entry in chunk.logprobs]
    scored = [rows[start + place - 1, entry.token_id] for place, entry in enumerate(entries)]
    assert np.abs(np.array(scored) - [entry.logprob for entry in entries]).mean() < 0.05  # rounded to bfloat16 each
    assert all(len(entry.top) == 2 for entry in entries)


def test_many_requests_are_answered_together(session):
    count = 8
    answers, ready = {}, threading.Barrier(count)

    def run(number):
        stream = session.generate(request(f"{STORY} {number}", max_tokens=16, ignore_eos=True))
        first = next(stream)
        ready.wait(60)  # all have begun before any ends
        answers[number] = tokens_of([first, *stream])

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)

    assert [len(answers[number]) for number in range(count)] == [16] * count


def test_a_killed_engine_is_an_error_for_who_waits_and_for_who_comes(vllm_python):
    session = WorkerSession.start("vllm", MODEL, OPTIONS, python=vllm_python)
    try:
        stream = session.generate(request(max_tokens=900, ignore_eos=True))
        next(stream)
        (engine,) = engine_of(session.pid)
        os.kill(engine, signal.SIGKILL)

        with pytest.raises(EngineCrashed, match="engine process has died"):
            list(stream)
        with pytest.raises(EngineCrashed, match="engine process has died"):
            list(session.generate(request()))
        with pytest.raises(EngineCrashed, match="engine process has died"):
            list(session.score([1, 2, 3]))
    finally:
        session.close()
    assert gone(session.pid)


def test_a_killed_program_takes_the_engine_along(vllm_python):
    command = [vllm_python, Path(__file__).with_name("inside.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as program:
        assert program.stdout.readline() == "loaded\n"
        before = engine_of(program.pid)
        program.kill()

    assert len(before) == 1
    assert gone(program.pid)


def gone(leader):
    deadline = time.monotonic() + 20
    while engine_of(leader) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not engine_of(leader)
