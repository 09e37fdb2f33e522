"""Every way in which a worker can fail is an error that says how, at once, and leaves nothing behind."""

from __future__ import annotations

import logging
import os
import signal
import threading

import pytest

from pajamas import errors
from pajamas.errors import ContextOverflow, EngineCrashed, EngineError, ModelFileError
from pajamas.types import GenerateRequest


def answer(session, prompt):
    return [chunk.text for chunk in session.generate(GenerateRequest(prompt=prompt))]


# --- the process dies -----------------------------------------------------------------------------------------------


def test_abort_names_the_signal_and_the_last_words(start):
    session = start()
    stream = session.generate(GenerateRequest(prompt="abort"))
    assert next(stream).text == "one "

    with pytest.raises(EngineCrashed) as caught:
        next(stream)

    assert "SIGABRT" in caught.value.what
    assert "engine.cpp:7: ASSERT(n > 0) failed" in caught.value.why


def test_segmentation_fault(start):
    with pytest.raises(EngineCrashed, match="SIGSEGV"):
        answer(start(), "segv")


def test_exit(start):
    with pytest.raises(EngineCrashed, match="exit status 3"):
        answer(start(), "exit 3")


def test_killed_from_outside(start, alive):
    session = start()
    stream = session.generate(GenerateRequest(prompt="slow 0.01"))
    next(stream)

    os.kill(session.pid, signal.SIGKILL)

    with pytest.raises(EngineCrashed, match="SIGKILL"):
        list(stream)
    assert not alive(session.pid)


def test_a_dead_worker_fails_every_caller_and_every_later_call(start):
    session = start(parallel=True)
    streams = [session.generate(GenerateRequest(prompt="slow 0.01")) for _ in range(3)]
    caught = []

    def read(stream):
        try:
            list(stream)
        except EngineCrashed as error:
            caught.append(error)

    threads = [threading.Thread(target=read, args=(stream,)) for stream in streams]
    for thread in threads:
        thread.start()
    session.tokenize("the worker has all of them by now")
    os.kill(session.pid, signal.SIGKILL)
    for thread in threads:
        thread.join(20)

    assert len({id(error) for error in caught}) == 3
    with pytest.raises(EngineCrashed, match="SIGKILL"):
        session.tokenize("a")
    session.close()


def test_a_new_worker_works_after_a_crash(start):
    with pytest.raises(EngineCrashed):
        answer(start(), "abort")

    assert answer(start(), "count 1") == ["1 ", ""]


def test_processes_of_the_engine_die_with_a_crashed_worker(start, alive, until):
    session = start()
    stream = session.generate(GenerateRequest(prompt="start"))
    other = int(next(stream).text)
    assert alive(other)

    os.kill(session.pid, signal.SIGKILL)

    assert until(lambda: not alive(other))


def test_processes_of_the_engine_die_with_a_closed_session(start, alive, until, monkeypatch):
    monkeypatch.setattr("pajamas.worker.client.CLOSE_SECONDS", 0.2)
    session = start()
    stream = session.generate(GenerateRequest(prompt="start"))
    other = int(next(stream).text)

    session.close()

    assert until(lambda: not alive(other))


# --- the process hangs ----------------------------------------------------------------------------------------------


def impatient(session, seconds):
    """Only from here on: how long an interpreter takes to start is not what is tested."""
    session._channel._patience = seconds
    return session


def test_a_worker_that_gives_no_sign_of_life_is_killed(start, alive):
    session = impatient(start(heartbeat=0.05), 0.5)

    with pytest.raises(EngineCrashed, match="hung"):
        answer(session, "hang")

    assert not alive(session.pid)


def test_a_hung_worker_is_noticed_though_nobody_waits(start, alive, until):
    session = start(heartbeat=0.05)
    os.kill(session.pid, signal.SIGSTOP)

    impatient(session, 0.5)

    assert until(lambda: not alive(session.pid))


def test_a_large_message_to_a_hung_worker_does_not_hang_the_caller(start):
    session = start(heartbeat=0.05)
    os.kill(session.pid, signal.SIGSTOP)
    impatient(session, 0.5)

    with pytest.raises(EngineCrashed, match="hung"):
        session.tokenize("x" * 2**22)


def test_a_worker_that_computes_for_long_is_not_hung(start):
    session = impatient(start(heartbeat=0.05), 2)

    stream = session.generate(GenerateRequest(prompt="slow 3"))

    assert [next(stream).text for _ in range(2)] == ["tick ", "tick "]


def test_a_worker_that_loads_for_long_is_not_hung(start):
    assert start(heartbeat=0.05, patience=3, load_seconds=4).tokenize("a") == [0, 97]


def test_a_worker_that_hangs_while_it_loads(start):
    with pytest.raises(EngineCrashed, match="hung"):
        start(heartbeat=0.05, patience=3, load="hang")


# --- errors that the session raises ---------------------------------------------------------------------------------


def test_an_error_of_our_own_crosses_as_it_is(start):
    session = start()

    with pytest.raises(ContextOverflow) as caught:
        answer(session, "overflow")

    error = caught.value
    assert (error.what, error.why, error.fix) == (
        "The prompt has 120 tokens.",
        "The context holds 100.",
        "Shorten it.",
    )
    assert answer(session, "count 1") == ["1 ", ""]


def test_a_foreign_error_becomes_an_engine_error_with_its_traceback_in_the_log(start, caplog):
    session = start()

    with caplog.at_level(logging.INFO, "pajamas"), pytest.raises(EngineError) as caught:
        answer(session, "bug")

    assert type(caught.value) is EngineError
    assert caught.value.why == "ValueError: a bug in the backend"
    assert "pajamas_count.py" in caplog.text
    assert answer(session, "count 1") == ["1 ", ""]


def test_a_backend_that_exits_by_exception(start):
    session = start()

    with pytest.raises(EngineError, match="SystemExit: the backend quits"):
        answer(session, "quit")

    assert answer(session, "count 1") == ["1 ", ""]


def test_an_array_of_another_type_is_refused(start):
    session = start()

    with pytest.raises(EngineError, match="float64"):
        session.embed(["bad dtype"])

    assert session.embed(["a"]).shape == (1, 2)


def test_a_request_that_json_cannot_carry_is_refused(start):
    session = start()

    with pytest.raises(EngineError, match="cannot be sent"):
        list(session.generate(GenerateRequest(prompt="count 1", json_schema={"a": object()})))

    assert answer(session, "count 1") == ["1 ", ""]


def test_every_error_class_is_found_by_its_name():
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, errors.PajamasError):
            assert errors.error_class(name) is kind


# --- loading --------------------------------------------------------------------------------------------------------


def test_a_crash_while_loading(start):
    with pytest.raises(EngineCrashed) as caught:
        start(load="crash")

    assert "SIGABRT" in caught.value.what
    assert "bad file, giving up" in caught.value.why


def test_a_model_that_the_backend_refuses(start):
    with pytest.raises(ModelFileError, match="damaged"):
        start(load="refuse")


def test_a_bug_while_loading(start):
    with pytest.raises(EngineError, match="ZeroDivisionError: a bug in the loader"):
        start(load="bug")


def test_a_worker_that_writes_into_its_own_pipe_is_killed(start, alive):
    session = start()

    with pytest.raises(EngineCrashed, match="protocol"):
        answer(session, "garble")

    assert not alive(session.pid)
