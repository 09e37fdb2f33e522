"""From a folder to a session: what is taken, what is computed, what is refused."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys

import numpy as np
import pytest

from asked import STORY, request
from pajamas.errors import (
    DeviceNotFound,
    EngineError,
    ModelFileError,
    NotEnoughMemory,
    UnsupportedFeature,
    UnsupportedModel,
    UsageError,
)
from pajamas_mlx import backend, child


def rows(session):
    return np.concatenate(list(session.score(session.tokenize(STORY))))


def test_it_says_what_the_folder_says(session):
    assert session.architecture.model_type == "qwen3"
    assert session.context_length == 4096
    assert session.special_tokens == {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    assert "<|im_start|>" in session.chat_template
    assert session.memory.weights == pytest.approx(8.39e6, rel=1e-3)  # without the header of the file
    assert session.default_sampling.temperature is None


def test_recommended_sampling_is_read(load, folder, edit):
    edit("generation_config.json", temperature=0.6, top_k=20, top_p=0.95, min_p="no", repetition_penalty=-1)

    found = load(folder).default_sampling

    assert (found.temperature, found.top_k, found.top_p) == (0.6, 20, 0.95)
    assert (found.min_p, found.repetition_penalty) == (None, None)


def test_a_type_to_compute_in_is_honoured(load, session):
    whole, half = load(compute_dtype="float32"), load(compute_dtype="float16")
    exact, rough, native = rows(whole), rows(half), rows(session)

    assert whole.memory.weights == 2 * half.memory.weights == 2 * session.memory.weights
    assert 0 < np.abs(exact - rough).max() < 0.05 < np.abs(exact - native).max() < 1.5


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"threads": 2}, "threads"),
        ({"flash_attention": True}, "flash_attention"),
        ({"embeddings": True}, "embeddings"),
        ({"gpu_layers": 3}, "gpu-layers"),
    ],
)
def test_options_that_mlx_has_not_are_refused_by_name(load, options, named):
    with pytest.raises(UnsupportedFeature, match=named):
        load(**options)


@pytest.mark.parametrize(
    "options",
    [{"context_length": 0}, {"batch_size": 0}, {"compute_dtype": "int8"}, {"kv_type": "q8_0"}, {"max_sequences": 1000}],
)
def test_options_that_make_no_sense_are_refused(load, options):
    with pytest.raises(UsageError):
        load(**options)


@pytest.mark.skipif(sys.platform != "linux", reason="a Mac has Metal")
def test_a_device_that_is_not_here_is_an_error(load):
    with pytest.raises(DeviceNotFound, match="metal"):
        load(device="metal")


def test_positions_that_were_learned_end_where_they_end(load, folder, edit):
    config = json.loads((folder / "config.json").read_text())
    del config["rope_parameters"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UsageError, match="4,096"):
        load(folder, context_length=5000)

    assert load(context_length=5000).context_length == 5000


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"model_type": "no_such_model"}, UnsupportedModel, "no_such_model"),
        ({"model_type": "../../evil"}, ModelFileError, "model_type"),
        ({"model_type": "cache"}, ModelFileError, "cannot load"),  # a module of mlx-lm that is no model
        ({"model_file": "evil.py"}, UnsupportedModel, "never run"),
        ({"head_dim": -64}, ModelFileError, "makes no sense"),
        ({"hidden_size": 512}, ModelFileError, "cannot load"),
        ({"quantization": "yes"}, ModelFileError, "cannot load"),
    ],
)
def test_a_config_that_does_not_fit_is_an_error(load, folder, edit, change, error, words):
    edit(**change)

    with pytest.raises(error, match=words):
        load(folder)


def test_a_tokenizer_that_is_damaged_or_missing_is_an_error(load, folder):
    text = (folder / "tokenizer.json").read_text()
    for broken in (text[:1000], "{}", text.replace('"BPE"', '"NPE"'), "[" * 10_000):
        (folder / "tokenizer.json").write_text(broken)
        with pytest.raises(ModelFileError, match="tokenizer"):
            load(folder)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelFileError, match="tokenizer"):
        load(folder)


def test_weights_that_mlx_would_mix_up_are_refused(load, folder):
    (folder / "model-old.safetensors").write_bytes((folder / "model.safetensors").read_bytes())

    with pytest.raises(ModelFileError, match=r"model-old\.safetensors"):
        load(folder)


def test_a_model_that_ends_its_process_is_an_error(load, folder, monkeypatch):
    monkeypatch.setattr(child, "COMMAND", (sys.executable, "-c", "import os; os.kill(os.getpid(), 6)"))

    with pytest.raises(ModelFileError, match="SIGABRT"):
        load(folder)


def test_a_model_larger_than_the_memory_is_not_tried(load, monkeypatch):
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 1000, "SC_PAGE_SIZE": 4096}.__getitem__)

    with pytest.raises(NotEnoughMemory, match="too large"):
        load()


def test_a_closed_session_refuses_everything(load):
    closed = load()
    closed.close()

    for use in (lambda: closed.tokenize("a"), lambda: closed.detokenize([1]), lambda: closed.score([1])):
        with pytest.raises(EngineError, match="closed"):
            use()


def test_importing_mlx_changes_nothing_for_the_process():
    program = (
        "import os, resource; before = resource.getrlimit(resource.RLIMIT_NOFILE), dict(os.environ)\n"
        "from pajamas_mlx import engine; engine.engine()\n"
        "assert before == (resource.getrlimit(resource.RLIMIT_NOFILE), dict(os.environ)), 'changed'"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert resource.setrlimit.__module__ == "resource"


def test_the_process_ends_in_peace():
    program = (
        "from pajamas_mlx import engine; mx = engine.engine().mx\n"
        "engine.compute('cpu', lambda: mx.eval(mx.ones((99, 99)) @ mx.ones((99, 99))))"
    )
    for _ in range(2):  # it was aborted one time in three
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

        assert (done.returncode, done.stderr) == (0, "")


def test_doctor_tries_the_engine(monkeypatch):
    info = backend.describe(thorough=True)
    assert info.unavailable is None
    assert ("metal" in info.devices) or "correctness" in info.notes[0]

    monkeypatch.setattr(child, "COMMAND", (sys.executable, "-c", "import os; os.kill(os.getpid(), 6)"))
    assert "SIGABRT" in backend.describe(thorough=True).unavailable
    assert backend.describe().unavailable is None


def test_the_memory_of_a_full_context_is_told(load):
    session = load(context_length=512, max_sequences=2)
    list(session.generate(request(max_tokens=None, ignore_eos=True)))
    (used,) = [sequence for sequence in session._lane._idle if sequence.tokens]

    assert len(used.tokens) == 511
    assert session.memory.kv_cache == 2 * sum(part.nbytes for part in used.cache)
    assert load(context_length=512).memory.kv_cache == session.memory.kv_cache // 2


def test_a_context_beyond_the_machines_memory_is_refused(load):
    with pytest.raises(NotEnoughMemory, match="so much context"):
        load(context_length=10**9)
