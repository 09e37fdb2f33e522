"""Loading: options, devices, damaged and foreign files, and the memory that was predicted."""

from __future__ import annotations

import os
import random
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import gguf
import numpy as np
import pytest

from pajamas.errors import DeviceNotFound, EngineError, ModelFileError, PajamasError, UnsupportedFeature, UsageError
from pajamas.types import GenerateRequest, Sampling
from pajamas_gguf import probe_model
from pajamas_gguf.memory import predict
from quantize_jobs import header_of

VOCABULARIES = Path(__file__).parents[4] / "shared/data/vocab"
PROMPT = "<|im_start|>user\nWhat is 2+2?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"


def answer(session, **fields):
    request = GenerateRequest(prompt=PROMPT, sampling=Sampling(temperature=0), **{"max_tokens": 12, **fields})
    return "".join(chunk.text for chunk in session.generate(request))


@pytest.mark.parametrize(
    "options",
    [
        {"device": "cpu"},
        {"gpu_layers": 0},
        {"mmap": False},
        {"flash_attention": False},
        {"flash_attention": True},
        {"kv_type": "q8_0"},
        {"kv_type": "bf16"},
        {"threads": 1},
        {"batch_size": 7},
        {"context_length": 20},
        {"max_sequences": 3},
    ],
    ids=str,
)
def test_options_are_taken(tiny_bf16, load_session, options):
    session = load_session(tiny_bf16, **options)

    assert answer(session, max_tokens=None if options == {"context_length": 20} else 12).startswith("2")
    assert session.context_length == options.get("context_length", 4096)


def test_a_smaller_cache_type_takes_less_memory(tiny_q4, load_session):
    full, small = load_session(tiny_q4), load_session(tiny_q4, kv_type="q8_0")

    assert small.memory.kv_cache == pytest.approx(full.memory.kv_cache * 34 / 64, rel=0.01)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"device": "cuda"}, DeviceNotFound),
        ({"device": "metal"}, DeviceNotFound),
        ({"device": "abacus"}, DeviceNotFound),
        ({"device": "cpu", "gpu_layers": 3}, DeviceNotFound),
        ({"kv_type": "q9"}, UnsupportedFeature),
        ({"kv_type": "q4_0", "flash_attention": False}, UnsupportedFeature),
        ({"context_length": 0}, UsageError),
        ({"threads": -1}, UsageError),
        ({"batch_size": 0}, UsageError),
        ({"max_sequences": 1000}, UsageError),
        ({"embeddings": True, "batch_size": 64}, UnsupportedFeature),
        ({"context_length": 1 << 31}, UsageError),
    ],
    ids=str,
)
def test_options_that_cannot_be_honoured_are_refused(tiny_q4, load_session, options, error):
    from pajamas_gguf.devices import find_devices

    if options.get("device") in {device.word for device in find_devices()} - {"cpu"}:
        pytest.skip("this machine has such a device")
    with pytest.raises(error):
        load_session(tiny_q4, **options)


def test_memory_is_what_was_predicted(tiny_q4, tiny_bf16, load_session):
    for path in (tiny_q4, tiny_bf16):
        predicted = predict(path, (512, 4096))
        for context, total in predicted.items():
            assert load_session(path, context_length=context).memory.total == pytest.approx(total, rel=0.02)
        assert predicted[512] < predicted[4096]


def test_a_header_with_a_hole_for_its_data_is_enough_to_predict(tiny_q4, tmp_path):
    hollow = tmp_path / "hollow.gguf"
    begin = header_of(tiny_q4).data_offset
    with hollow.open("wb") as stream:
        stream.write(tiny_q4.read_bytes()[:begin])
        stream.truncate(tiny_q4.stat().st_size)

    assert predict(hollow, (1024,)) == predict(tiny_q4, (1024,))


def test_a_file_cut_anywhere_is_an_error(tiny_q4, load_session, tmp_path):
    data = tiny_q4.read_bytes()
    path = tmp_path / "cut.gguf"
    for size in (0, 3, 20, 1000, 60_000, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:size])
        with pytest.raises(ModelFileError):
            load_session(path)
    with pytest.raises(ModelFileError):
        load_session(tmp_path / "missing.gguf")


def test_flipped_bits_are_an_error_or_a_model(tiny_q4, load_session, tmp_path):
    data = tiny_q4.read_bytes()
    rng = random.Random(5)
    path = tmp_path / "flipped.gguf"
    for number in range(8):
        damaged = bytearray(data)
        for _ in range(3):
            place = rng.randrange(len(data) if number % 3 else 4000)
            damaged[place] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        try:
            answer(load_session(path, context_length=64), max_tokens=3)
        except PajamasError:
            continue


@pytest.mark.parametrize(
    ("key", "form", "value"),
    [
        ("qwen3.block_count", "<I", 0),
        ("qwen3.block_count", "<I", 4_000_000_000),
        ("qwen3.embedding_length", "<I", 255),
        ("qwen3.attention.head_count", "<I", 0),
        ("qwen3.attention.head_count_kv", "<I", 0),
        ("qwen3.attention.layer_norm_rms_epsilon", "<f", -1.0),
        ("tokenizer.ggml.eos_token_id", "<I", 4_000_000_000),
    ],
)
def test_numbers_that_kill_the_engine_are_an_error_or_harmless(tiny_q4, load_session, tmp_path, key, form, value):
    data = bytearray(tiny_q4.read_bytes())
    place = data.index(key.encode()) + len(key) + 4
    data[place : place + 4] = struct.pack(form, value)
    path = tmp_path / "hostile.gguf"
    path.write_bytes(data)
    try:
        answer(load_session(path), max_tokens=3)
    except ModelFileError as error:
        assert error.what
    else:
        assert key == "tokenizer.ggml.eos_token_id"


def test_weights_that_are_no_numbers_are_an_error(load_session, tmp_path):
    path = tmp_path / "nan.gguf"
    probe_model.write(path)
    output = next(tensor for tensor in header_of(path).tensors if tensor.name == "output.weight")
    with path.open("r+b") as stream:
        stream.seek(output.offset)
        stream.write(b"\xff" * output.size)  # half-precision scales of all ones are not numbers
    session = load_session(path)

    for sampling in (Sampling(temperature=0), Sampling(top_k=5), Sampling()):
        with pytest.raises(EngineError, match="not numbers"):
            list(session.generate(GenerateRequest(token_ids=(1, 2, 3), sampling=sampling, max_tokens=2)))


def test_a_model_without_a_vocabulary_takes_token_ids_only(load_session, tmp_path):
    path = tmp_path / "bare.gguf"
    probe_model.write(path)
    session = load_session(path)

    assert list(session.generate(GenerateRequest(token_ids=(1, 2), max_tokens=3)))[-1].usage.completion_tokens == 3
    assert np.concatenate(list(session.score([1, 2, 3]))).shape == (3, 512)
    for use in (lambda: session.generate(GenerateRequest(prompt="text")), lambda: session.detokenize([1])):
        with pytest.raises(EngineError, match="no vocabulary"):
            use()
    with pytest.raises(PajamasError):
        session.generate(GenerateRequest(token_ids=(1, 2), grammar='root ::= "a"'))


def test_files_that_are_no_language_model_are_refused(load_session, tmp_path):
    path = tmp_path / "imatrix.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_type("imatrix")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()

    with pytest.raises(ModelFileError, match="imatrix"):
        load_session(path)


@pytest.mark.skipif(not VOCABULARIES.is_dir(), reason="shared/data is not here")
def test_a_vocabulary_alone_is_refused(load_session):
    with pytest.raises(ModelFileError, match="vocabulary"):
        load_session(VOCABULARIES / "ggml-vocab-qwen2.gguf")


INTERRUPTED = """
import sys, threading, signal, os, time
from pathlib import Path
from pajamas.types import Artifact, GenerateRequest, LoadOptions
from pajamas_gguf.session.load import load
session = load(Artifact(path=Path(sys.argv[1]), format="gguf"), LoadOptions(threads=1))
prompt = tuple(range(10, 4000))
print("ready", flush=True)
try:
    while True:
        list(session.generate(GenerateRequest(token_ids=prompt, max_tokens=1, cache_prompt=False)))
except KeyboardInterrupt:
    pass
chunks = list(session.generate(GenerateRequest(token_ids=(10, 11, 12), max_tokens=5, ignore_eos=True)))
print("answered", chunks[-1].usage.completion_tokens, flush=True)
session.close()
"""


def test_ctrl_c_breaks_off_a_long_prompt_and_the_session_lives(tiny_q4):
    child = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, tiny_q4], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout.readline() == "ready\n"
    time.sleep(0.3)
    os.kill(child.pid, signal.SIGINT)
    out, err = child.communicate(timeout=60)

    assert out == "answered 5\n", err
    assert child.returncode == 0
    assert err == ""
