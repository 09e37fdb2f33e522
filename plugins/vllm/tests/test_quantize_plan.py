"""What `quantize` says and refuses without its environment: from headers and options alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import pajamas
from pajamas.architecture import detect_architecture
from pajamas.errors import EngineMissing, PajamasError, UnsupportedFeature, UnsupportedModel, UsageError
from pajamas.modelfiles import LocalFiles
from pajamas.safetensors_header import read_tensors
from pajamas.source import Source
from pajamas.types import QuantizeJob
from pajamas_vllm.hooks import quantize
from pajamas_vllm.quantize.plan import Stored, header_size

TINY = Path(__file__).parents[2] / "tiny/src/pajamas_tiny/model"


def make_job(model, scheme="fp8", *, dry_run=True, **options):
    files = LocalFiles(model)
    return QuantizeJob(
        files=files, source=Source(text=str(model), kind="folder", path=model),
        architecture=detect_architecture(files), format="safetensors", scheme=scheme, output=model.parent / "out",
        name="tiny", dry_run=dry_run, **options,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(TINY, tmp_path / "model")


@pytest.fixture
def edit(folder):
    """Change keys of the folder's config."""

    def run(**values):
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return run


def tensors_of(folder, dtype=np.float16):
    """Weights of the model's names and shapes, all of them 0."""
    return {name: np.zeros(tensor.shape, dtype) for name, tensor in read_tensors(LocalFiles(folder)).items()}


@pytest.mark.parametrize(("scheme", "size", "type"), [
    # Measured of what llm-compressor 0.14.0.1 writes.
    ("fp8", 5_277_120, "float8_e4m3"), ("w8a8", 5_276_984, "int8"), ("w4a16", 3_736_144, "int4 g128"),
])  # fmt: skip
def test_the_size_is_exact(scheme, size, type):
    found = quantize(make_job(TINY, scheme))

    assert found.size == size
    assert {tensor.type for tensor in found.tensors} == {"bfloat16", type}
    assert found.parameters == 4_197_120
    assert sum(tensor.type == type for tensor in found.tensors) == 28
    assert found.memory[4096] == size + 2 * 4 * 2 * 64 * 4096 * 2


def test_the_header_is_the_librarys(tmp_path):
    arrays = {"b.weight": np.zeros((3, 5), np.float16), "a": np.zeros(7, np.int8), "ä.c": np.zeros((2,), np.int64)}
    save_file(arrays, tmp_path / "some.safetensors", metadata={"format": "pt"})
    kinds = {"float16": "F16", "int8": "I8", "int64": "I64"}
    stored = [Stored(name=name, dtype=kinds[str(one.dtype)], shape=one.shape) for name, one in arrays.items()]

    data = sum(one.nbytes for one in arrays.values())
    assert header_size(stored) == (tmp_path / "some.safetensors").stat().st_size - data


def test_a_group_that_does_not_fit_stays_as_it_is(folder):
    weights = tensors_of(folder)
    for name in [name for name in weights if "down_proj" in name]:
        weights[name] = np.ascontiguousarray(weights[name][:, :720])
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    found = quantize(make_job(folder, "w4a16"))

    assert {tensor.type for tensor in found.tensors if "down_proj" in tensor.name} == {"float16"}
    assert {tensor.wanted for tensor in found.tensors if "down_proj" in tensor.name} == {"int4"}
    assert "4 layers cannot be int4 (their widths are no multiples of 128)" in found.notes[0]


def test_an_untied_output_layer_counts(folder, edit):
    weights = tensors_of(folder)
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"].copy()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    tied = quantize(make_job(folder))
    edit(tie_word_embeddings=False)
    untied = quantize(make_job(folder))

    assert untied.size - tied.size > 4096 * 256 * 2
    assert [tensor.type for tensor in untied.tensors if tensor.name == "lm_head.weight"] == ["float16"]


def test_what_is_not_quantized_has_16_bits(folder):
    save_file(tensors_of(folder, np.float32), folder / "model.safetensors", metadata={"format": "pt"})

    found = quantize(make_job(folder))

    assert found.size == 5_277_120
    assert found.notes == ("What is not quantized is bfloat16; in the source it is float32.",)


@pytest.mark.parametrize(("options", "words"), [
    ({"scheme": "w4a16", "group_size": 48}, "group size of 48"),
    ({"scheme": "fp8", "group_size": 64}, "--group-size has no effect on fp8"),
    ({"scheme": "w8a8", "group_size": 64}, "--group-size has no effect on w8a8"),
    ({"scheme": "fp8", "calibration_samples": 4}, "calibration text has no effect on fp8"),
    ({"scheme": "w2a16"}, "no scheme 'w2a16'"),
    ({"scheme": "w4a16", "calibration_text": Path("nowhere.txt")}, "nowhere.txt cannot be read"),
])  # fmt: skip
def test_an_option_that_cannot_be_honoured_is_refused(options, words):
    with pytest.raises(UsageError, match=words):
        quantize(make_job(TINY, **options))


@pytest.mark.parametrize(("values", "words"), [
    ({"quantization_config": {"quant_method": "gptq"}}, r"quantized already \(gptq\)"),
    ({"auto_map": {"AutoModelForCausalLM": "evil.Model"}}, "code of its own"),
    ({"vision_config": {"depth": 3}}, "more than a decoder"),
    ({"model_type": "qwen3_moe", "num_experts": 8, "num_experts_per_tok": 2}, "mixture of experts"),
])  # fmt: skip
def test_a_model_that_cannot_be_quantized_is_refused(folder, edit, values, words):
    edit(**values)

    with pytest.raises(UnsupportedModel, match=words):
        quantize(make_job(folder))


def test_layers_of_other_names_are_refused(folder):
    weights = {name.replace(".layers.", ".h."): value for name, value in tensors_of(folder).items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    with pytest.raises(UnsupportedModel, match="cannot be made fp8"):
        quantize(make_job(folder))


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """No environment is made."""
    monkeypatch.setenv("PAJAMAS_ENVIRONMENTS", str(tmp_path / "environments"))
    for name in ("PAJAMAS_VLLM_PYTHON", "PAJAMAS_VLLM_QUANTIZE_PYTHON"):
        monkeypatch.delenv(name, raising=False)


def test_without_the_environment_only_a_dry_run_works(nowhere, folder, tmp_path):
    arguments = {"model": TINY, "output": tmp_path / "out", "formats": "safetensors", "backend": "vllm"}
    announced = pajamas.run("convert", **arguments, dry_run=True)
    with pytest.raises(EngineMissing) as caught:
        pajamas.run("convert", **arguments)
    with pytest.raises(EngineMissing) as inner:
        quantize(make_job(folder, dry_run=False))

    assert announced.artifacts[0].scheme == "w4a16"
    assert caught.value.fix == inner.value.fix == "pajamas env create vllm-quantize"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("precision", "scheme"), [("FP8_DYNAMIC", "fp8"), ("int8", "w8a8"), ("gptq", "w4a16")])
def test_schemes_have_the_names_that_people_know(nowhere, tmp_path, precision, scheme):
    found = pajamas.run(
        "convert", model=TINY, output=tmp_path, formats="safetensors", backend="vllm", precision=precision, dry_run=True
    )

    assert found.targets[0].scheme == scheme


@pytest.mark.parametrize(("options", "kind", "words"), [
    ({"precision": "awq"}, UnsupportedFeature, "cannot make awq"),
    ({"precision": "fp8", "embedding_bits": 6}, UnsupportedFeature, "--embedding-bits"),
    ({"precision": "fp8", "backend": None}, PajamasError, "safetensors"),
])  # fmt: skip
def test_core_refuses_what_is_not_declared(nowhere, tmp_path, options, kind, words):
    arguments = {"model": TINY, "output": tmp_path, "formats": "safetensors", "backend": "vllm", **options}
    with pytest.raises(kind, match=words):
        pajamas.run("convert", **arguments, dry_run=True)
