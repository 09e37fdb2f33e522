"""A session in a worker is the session inside it, seen through pipes."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest

import pajamas
from pajamas.types import Feature, GenerateRequest, Sampling


@pytest.fixture
def inner(count_session):
    """The same session in this process."""
    return count_session


def test_facts(start, inner):
    session = start(context_length=50)

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
        assert getattr(session, name) == getattr(inner, name), name
    assert session.context_length == 50
    assert session.default_sampling == Sampling(temperature=0.5, logit_bias={7: float("-inf")})


def test_text_and_tokens(start, inner):
    session = start()
    text = "a\x00é€😀\ud800\n"

    assert session.tokenize(text) == inner.tokenize(text)
    assert session.tokenize(text, add_special=False) == inner.tokenize(text, add_special=False)
    assert session.detokenize(inner.tokenize(text)) == inner.detokenize(inner.tokenize(text))


def test_a_stream_comes_chunk_by_chunk_as_it_was_made(start, inner):
    request = GenerateRequest(prompt="count 100", logprobs=2)

    assert list(start().generate(request)) == list(inner.generate(request))


def test_a_request_arrives_whole():
    from pajamas.worker.protocol import Call, decode, encode, from_json, to_json

    request = GenerateRequest(
        token_ids=(1, 2),
        messages=({"role": "user", "content": [{"type": "text", "text": "x"}]},),
        sampling=Sampling(temperature=0.1, top_k=5, logit_bias={3: float("-inf"), 4: 1 / 3}, seed=2**63),
        stop=("\n", "é"),
        ignore_eos=True,
        logprobs=0,
        json_schema={"type": "object", "properties": {"a": {"enum": [None, True, 1.5]}}},
        cache_prompt=False,
    )
    call = decode(encode(Call(id=1, method="generate", arguments={"request": to_json(request)}, window=1))[8:])

    assert from_json(call.arguments["request"], GenerateRequest) == request


def test_score_gives_the_same_blocks(start, inner):
    session = start()
    tokens = list(range(10))

    for first in (0, 3, 9):
        ours, theirs = list(session.score(tokens, first)), list(inner.score(tokens, first))
        assert [block.dtype for block in ours] == [np.float32] * len(theirs)
        for block, expected in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(block, expected)


def test_embeddings(start, inner):
    session = start()

    np.testing.assert_array_equal(session.embed(["a", "bcd"]), inner.embed(["a", "bcd"]))
    assert session.embed([]).shape == (0, 2)


def test_prompt_cache_path_is_the_callers(start, tmp_path, monkeypatch):
    session = start()  # started in another folder
    monkeypatch.chdir(tmp_path)

    session.save_prompt_cache(Path("cache.bin"))

    assert (tmp_path / "cache.bin").is_file()
    assert session.load_prompt_cache(Path("cache.bin")) == 17


def test_noise_on_standard_output_harms_nothing(start):
    session = start()

    assert "".join(chunk.text for chunk in session.generate(GenerateRequest(prompt="noise"))) == "quiet"
    assert "noise from C 5" in session.log
    assert "noise from Python" in session.log


def test_standard_error_is_read_and_only_its_end_is_kept(start, until):
    session = start()

    assert next(session.generate(GenerateRequest(prompt="flood 64"))).text == "done"
    assert until(lambda: 2**17 < len(session.log) <= 2**18)


def test_calls_run_side_by_side_when_the_session_is_parallel(start):
    from concurrent.futures import ThreadPoolExecutor

    session = start(parallel=True)
    assert Feature.PARALLEL in session.features

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: next(session.generate(GenerateRequest(prompt="meet"))).text, range(2)))

    assert answers == ["met", "met"]


def test_many_parallel_calls_keep_their_answers_apart(start):
    from concurrent.futures import ThreadPoolExecutor

    session = start(parallel=True)

    def count(number):
        return [chunk.text for chunk in session.generate(GenerateRequest(prompt=f"count {number}")) if chunk.text]

    with ThreadPoolExecutor(8) as pool:
        for number, texts in enumerate(pool.map(count, range(24))):
            assert texts == [f"{value} " for value in range(1, number + 1)]


def test_parallel_blocks_keep_apart(start):
    from concurrent.futures import ThreadPoolExecutor

    session = start(parallel=True)

    with ThreadPoolExecutor(4) as pool:
        blocks = pool.map(lambda first: np.concatenate(list(session.score([first] * 30))), range(12))
        for first, block in enumerate(blocks):
            assert block.shape == (30, 1000)
            assert (np.floor(block + 1e-4) == first).all()


def test_another_interpreter(start, tmp_path):
    """Of a virtual environment that sees this one's packages by a .pth file, as an environment of its own would."""
    import attrs

    venv.create(tmp_path / "env", symlinks=True)
    python = tmp_path / "env" / "bin" / "python"
    [site] = (tmp_path / "env" / "lib").glob("python*/site-packages")
    paths = [Path(attrs.__file__).parents[1], Path(pajamas.__file__).parents[1]]
    (site / "there.pth").write_text("\n".join(map(str, paths)))

    session = start(python=python)

    assert Path(f"/proc/{session.pid}/cmdline").read_bytes().startswith(bytes(python) + b"\0")
    assert [chunk.text for chunk in session.generate(GenerateRequest(prompt="count 2"))][:2] == ["1 ", "2 "]


def test_a_folder_in_the_working_directory_is_not_taken_for_pajamas(start, tmp_path, monkeypatch):
    (tmp_path / "pajamas").mkdir()
    (tmp_path / "pajamas" / "__init__.py").write_text("raise SystemExit('the wrong pajamas')")
    monkeypatch.chdir(tmp_path)

    assert start().tokenize("a") == [0, 97]


def test_the_client_needs_no_engine_and_no_numpy():
    code = "import sys, pajamas.worker.client; print(sorted({'numpy', 'llama_cpp', 'torch'} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
