"""Which original a candidate is measured against, and what the measurement catches in a damaged candidate."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import gguf
import pytest

import pajamas
from pajamas.errors import UsageError
from pajamas.operations.originals import find_original, own_text
from pajamas.plugins import PluginHost
from pajamas.types import Artifact

TINY = Path(__file__).parents[2] / "tiny/src/pajamas_tiny/model"


@pytest.fixture
def source(tmp_path):
    """A copy of the bundled model, which a test may change, and its Q8_0 GGUF."""
    folder = tmp_path / "mine"
    shutil.copytree(TINY, folder)
    result = pajamas.run("convert", model=folder, output=tmp_path / "out", precision="q8_0")
    return folder, Artifact(path=result.gguf_path, format="gguf")


def test_a_model_in_hugging_face_layout_is_made_a_16_bit_gguf_once_and_anew_when_it_changes(source):
    folder, candidate = source
    host = PluginHost()

    first = find_original(host, None, candidate)
    assert first.suffix == ".gguf"
    assert first.name == "mine-bf16.gguf"
    assert find_original(host, folder, candidate) == first

    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"rms_norm_eps": 1e-5}))
    assert find_original(host, None, candidate) != first


def test_an_artifact_of_the_same_model_in_the_store_is_not_taken_for_its_original(source, tmp_path, monkeypatch):
    folder, candidate = source
    monkeypatch.setenv("PAJAMAS_MODELS", str(tmp_path / "store"))
    pajamas.run("convert", model=folder, precision="q2_k")

    result = pajamas.run("validate", quantized=candidate.path, original=folder, metrics="kld", options={"windows": 2})

    assert result.original.path.name == "mine-bf16.gguf"
    assert result.finding("kld").value < 0.01


def test_what_is_named_exactly_is_taken_as_it_is(source):
    folder, candidate = source

    assert find_original(PluginHost(), candidate.path, candidate) == candidate.path
    assert find_original(PluginHost(), str(candidate.path.parents[1]), candidate) == str(candidate.path.parents[1])
    assert find_original(PluginHost(), folder, candidate, backend="echo") == folder


def test_without_a_receipt_or_when_the_model_is_gone_the_candidate_is_measured_alone(source, tmp_path, caplog):
    folder, candidate = source
    stray = shutil.copy(candidate.path, tmp_path / "stray.gguf")
    assert find_original(PluginHost(), None, Artifact(path=tmp_path / stray, format="gguf")) is None

    shutil.rmtree(folder)
    assert find_original(PluginHost(), None, candidate) is None
    assert "is gone" in caplog.text


def test_divergence_without_any_original_is_refused(source, tmp_path):
    stray = shutil.copy(source[1].path, tmp_path / "stray.gguf")

    with pytest.raises(UsageError, match="no original"):
        pajamas.run("validate", quantized=tmp_path / stray, metrics="kld", text="a")


def test_the_text_beside_the_model_is_found_by_receipt_and_by_the_original_that_is_named(source, tmp_path):
    folder, candidate = source
    stray = Artifact(path=tmp_path / shutil.copy(candidate.path, tmp_path / "stray.gguf"), format="gguf")
    host = PluginHost()

    assert own_text(host, None, candidate).path == folder / "eval.jsonl"
    assert own_text(host, None, stray) is None
    assert own_text(host, folder, stray).path == folder / "eval.jsonl"
    assert own_text(host, "tiny", stray).path == TINY / "eval.jsonl"


@pytest.mark.parametrize("damage", [b"\x00", b"\x5a"])
def test_a_damaged_tensor_fails(source, damage):
    _, candidate = source
    tensor = next(
        tensor for tensor in gguf.GGUFReader(candidate.path).tensors if tensor.name == "blk.1.ffn_down.weight"
    )
    start, size = int(tensor.data_offset), int(tensor.n_bytes)
    with candidate.path.open("r+b") as file:
        file.seek(start)
        file.write(damage * size)

    result = pajamas.run(
        "validate", quantized=candidate.path, metrics="perplexity,kld", options={"profile": "hq", "windows": 4}
    )

    assert result.status == "fail"


def test_weights_that_are_not_numbers_are_an_error_that_says_so(source):
    _, candidate = source
    tensor = next(tensor for tensor in gguf.GGUFReader(candidate.path).tensors if tensor.name == "output_norm.weight")
    with candidate.path.open("r+b") as file:
        file.seek(int(tensor.data_offset))
        file.write(b"\x00\x00\xc0\x7f" * (int(tensor.n_bytes) // 4))

    with pytest.raises(pajamas.errors.EngineError, match="not numbers"):
        pajamas.run("validate", quantized=candidate.path, metrics="perplexity", options={"windows": 1})


def test_the_receipt_knows_by_which_profile_an_artifact_wants_to_be_judged(source, tmp_path):
    folder, candidate = source
    made = pajamas.run("convert", model=folder, output=tmp_path / "hq", precision="q8_0", profile="hq")
    stray = shutil.copy(candidate.path, tmp_path / "stray.gguf")

    def thresholds(path):
        result = pajamas.run("validate", quantized=path, original=folder, metrics="kld", options={"windows": 2})
        return result.finding("verdict").details["thresholds"]

    assert thresholds(made.gguf_path) == {"increase": 2.0, "divergence": 0.02}
    assert thresholds(candidate.path) == {"increase": None, "divergence": None}
    assert thresholds(tmp_path / stray) == {"increase": None, "divergence": None}
