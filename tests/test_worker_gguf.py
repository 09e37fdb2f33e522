"""A GGUF session in a worker: the same answers as in-process, and no way of ending it early that leaves a trace."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from attrs import evolve

from pajamas.errors import ContextOverflow, EngineCrashed, EngineError, ModelFileError
from pajamas.modelfiles import LocalFiles
from pajamas.source import Source
from pajamas.types import Artifact, Feature, GenerateRequest, LoadOptions, Sampling
from pajamas.worker.client import WorkerSession

MODEL = Path(__file__).parents[1] / "plugins/tiny/src/pajamas_tiny/model"
OPTIONS = LoadOptions(context_length=512, threads=1, device="cpu")
PROMPT = "<|im_start|>user\nTell me a story.<|im_end|>\n<|im_start|>assistant\n"
LONG = GenerateRequest(prompt=PROMPT, ignore_eos=True, sampling=Sampling(temperature=0.0))
"""Goes on until the context is full."""


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    from pajamas_gguf.convert.converter import convert

    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    convert(LocalFiles(MODEL), Source(text="tiny", kind="folder", path=MODEL), path, name="tiny")
    return Artifact(path=path, format="gguf")


@pytest.fixture(scope="module")
def inner(artifact):
    """The session in this process."""
    from pajamas_gguf.session.load import load

    session = load(artifact, OPTIONS)
    yield session
    session.close()


@pytest.fixture(scope="module")
def shared(artifact):
    """One worker for the tests that leave it whole."""
    session = WorkerSession.start("gguf", artifact, OPTIONS)
    yield session
    session.close()


@pytest.fixture
def worker(artifact):
    """A worker for the test that breaks it."""
    session = WorkerSession.start("gguf", artifact, OPTIONS)
    yield session
    session.close()


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def traces():
    """What a worker could leave behind in this process or in memory."""
    folder = Path("/proc/self/fd")
    files = [os.readlink(path) for path in folder.iterdir() if os.path.lexists(path)]
    threads = [thread.name for thread in threading.enumerate() if thread.name.startswith("pajamas-")]
    return sorted(name for name in files if "pipe:" in name or "memfd:" in name), sorted(threads), shared_memory()


def shared_memory():
    return sorted(name for name in os.listdir("/dev/shm") if "pajamas" in name)


def until(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


# --- the same session -----------------------------------------------------------------------------------------------


def test_the_facts_are_the_same(shared, inner):
    for name in (
        "backend",
        "architecture",
        "context_length",
        "features",
        "memory",
        "chat_template",
        "special_tokens",
        "default_sampling",
    ):
        assert getattr(shared, name) == getattr(inner, name), name
    assert Feature.SCORE in shared.features


def test_tokens_are_the_same(shared, inner):
    text = "Hello <|im_end|> wörld 😀\n\n  x"

    for options in ({}, {"add_special": False}, {"parse_special": False}):
        assert shared.tokenize(text, **options) == inner.tokenize(text, **options)
    assert shared.detokenize(inner.tokenize(text)) == inner.detokenize(inner.tokenize(text))


@pytest.mark.parametrize(
    "request_",
    [
        GenerateRequest(prompt=PROMPT, max_tokens=40, sampling=Sampling(temperature=0.0)),
        GenerateRequest(prompt=PROMPT, max_tokens=40, sampling=Sampling(temperature=1.0, top_k=50, seed=7), logprobs=3),
        GenerateRequest(prompt=PROMPT, max_tokens=40, sampling=Sampling(temperature=0.0, logit_bias={5: -100.0})),
    ],
    ids=["greedy", "seed and log-probabilities", "bias"],
)
def test_answers_are_the_same(shared, inner, request_):
    ours, theirs = list(shared.generate(request_)), list(inner.generate(request_))

    assert [(c.text, c.token_ids, c.logprobs, c.finish_reason) for c in ours] == [
        (c.text, c.token_ids, c.logprobs, c.finish_reason) for c in theirs
    ]
    assert ours[-1].usage.completion_tokens == theirs[-1].usage.completion_tokens > 0


def test_scores_are_the_same(shared, inner):
    tokens = inner.tokenize("The quick brown fox jumps over the lazy dog. " * 8)

    for first in (0, 17):
        ours = np.concatenate(list(shared.score(tokens, first)))
        np.testing.assert_array_equal(ours, np.concatenate(list(inner.score(tokens, first))))
        np.testing.assert_allclose(np.exp(ours.astype(np.float64)).sum(axis=1), 1.0, atol=1e-4)


def test_embeddings_are_the_same(artifact):
    from pajamas_gguf.session.load import load

    options = evolve(OPTIONS, embeddings=True)
    inner, worker = load(artifact, options), WorkerSession.start("gguf", artifact, options)
    try:
        texts = ["a cat", "the moon is far"]
        np.testing.assert_array_equal(worker.embed(texts), inner.embed(texts))
    finally:
        inner.close()
        worker.close()


def test_errors_are_the_same(shared, inner):
    request = GenerateRequest(prompt="word " * 2000)
    messages = []
    for session in (shared, inner):
        with pytest.raises(ContextOverflow) as caught:
            list(session.generate(request))
        messages.append(str(caught.value))

    assert messages[0] == messages[1]


def test_a_damaged_file_is_an_error_of_the_file(artifact, tmp_path):
    path = tmp_path / "damaged.gguf"
    path.write_bytes(artifact.path.read_bytes()[:-100_000])

    with pytest.raises(ModelFileError):
        WorkerSession.start("gguf", Artifact(path=path, format="gguf"), OPTIONS)


# --- ended early ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT], ids=lambda number: number.name)
def test_killed_in_the_middle_of_an_answer(artifact, number):
    before = traces()
    worker = WorkerSession.start("gguf", artifact, OPTIONS)
    stream = worker.generate(LONG)
    next(stream)

    os.kill(worker.pid, number)

    with pytest.raises(EngineCrashed, match=number.name):
        list(stream)
    with pytest.raises(EngineCrashed, match=number.name):
        worker.tokenize("a")
    worker.close()
    assert until(lambda: not alive(worker.pid))
    assert until(lambda: traces() == before), (traces(), before)


def test_killed_in_the_middle_of_scoring(artifact, inner):
    before = traces()
    worker = WorkerSession.start("gguf", artifact, OPTIONS)
    blocks = worker.score(inner.tokenize("word " * 300))
    next(blocks)

    os.kill(worker.pid, signal.SIGKILL)

    blocks.close()
    with pytest.raises(EngineCrashed, match="SIGKILL"):
        list(worker.score([1, 2, 3]))
    worker.close()
    assert until(lambda: traces() == before), (traces(), before)


def test_a_new_worker_works_after_a_kill(worker, artifact, inner):
    stream = worker.generate(LONG)
    next(stream)
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(EngineCrashed):
        list(stream)

    again = WorkerSession.start("gguf", artifact, OPTIONS)
    try:
        request = GenerateRequest(prompt=PROMPT, max_tokens=10, sampling=Sampling(temperature=0.0))
        assert [c.text for c in again.generate(request)] == [c.text for c in inner.generate(request)]
    finally:
        again.close()


def test_cancelled_in_the_middle_of_an_answer(shared, inner):
    stream = shared.generate(LONG)
    for _ in range(3):
        next(stream)
    stream.close()

    request = GenerateRequest(prompt=PROMPT, max_tokens=10, sampling=Sampling(temperature=0.0), cache_prompt=False)
    assert [c.text for c in shared.generate(request)] == [c.text for c in inner.generate(request)]


@pytest.mark.timeout(90)
def test_cancelled_in_the_middle_of_a_prompt(artifact):
    """This prompt takes minutes; a session that were not interrupted would be free too late for the test's limit."""
    worker = WorkerSession.start("gguf", artifact, evolve(OPTIONS, context_length=32768))
    try:
        tokens = tuple(worker.tokenize("word " * 30000))
        stream = worker.generate(GenerateRequest(token_ids=tokens, max_tokens=1))
        answers = []
        reader = threading.Thread(target=lambda: answers.extend(stream))
        reader.start()
        time.sleep(1)

        stream.close()
        reader.join()
        request = GenerateRequest(prompt=PROMPT, max_tokens=2, sampling=Sampling(temperature=0.0))

        assert answers == []
        assert list(worker.generate(request))[-1].usage.completion_tokens == 2
    finally:
        worker.close()


def test_closed_in_the_middle_of_an_answer(artifact):
    before = traces()
    worker = WorkerSession.start("gguf", artifact, OPTIONS)
    stream = worker.generate(LONG)
    next(stream)

    worker.close()

    with pytest.raises(EngineError, match="closed"):
        list(stream)
    assert not alive(worker.pid)
    assert until(lambda: traces() == before), (traces(), before)
