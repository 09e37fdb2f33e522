"""What the converter must refuse, and that it then leaves nothing behind."""

from __future__ import annotations

import json
import os
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from pajamas.errors import ModelFileError, NotEnoughDisk, UnsupportedModel, UsageError
from pajamas.gguf_header import read_header
from pajamas.modelfiles import LocalFiles
from pajamas.safetensors_header import read_file_header
from pajamas.source import Source
from pajamas_gguf.convert import converter
from random_model_configs import MODELS
from random_models import convert_folder, make_model, write_safetensors


def refused(folder, tmp_path, error, *words, **options):
    """The conversion fails with that error and those words, for both functions, and leaves nothing."""
    for function in (converter.convert, converter.write_header_only):
        with pytest.raises(error) as caught:
            convert_folder(folder, tmp_path / "out" / "out.gguf", function=function, **options)
        for word in words:
            assert word in str(caught.value)
        assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "missing", "said"),
    [
        ("Qwen3-0.6B", "model.layers.1.self_attn.q_norm.weight", "blk.1.attn_q_norm.weight"),
        ("Qwen2.5-0.5B-Instruct", "model.layers.0.self_attn.k_proj.bias", "blk.0.attn_k.bias"),
        ("phi-4", "lm_head.weight", "output.weight"),
        ("Llama-3.2-1B", "model.layers.1.mlp.up_proj.bias", "blk.1.ffn_up.bias"),
        ("Qwen3-30B-A3B", "model.layers.1.mlp.experts.2.up_proj.weight", "model.layers.1.mlp.experts"),
        ("Qwen3-30B-A3B", "model.layers.0.mlp.gate.weight", "blk.0.ffn_gate_inp.weight"),
    ],
)
def test_missing_tensor(name, missing, said, tmp_path):
    folder = make_model(name, tmp_path, {**MODELS[name], "drop": (missing,)})

    refused(folder, tmp_path, ModelFileError, said)


@pytest.mark.parametrize(
    "extra", ["model.layers.0.self_attn.surprise.weight", "model.layers.7.mlp.up_proj.weight", "model.visual.a.weight"]
)
def test_foreign_tensor_is_not_dropped(extra, tmp_path):
    folder = make_model("Qwen3-0.6B", tmp_path, {**MODELS["Qwen3-0.6B"], "extra": {extra: (96, 64)}})

    refused(folder, tmp_path, UnsupportedModel, extra)


@pytest.mark.parametrize(
    ("name", "config", "error", "said"),
    [
        ("Qwen3-0.6B", {"intermediate_size": 95}, ModelFileError, "ffn_down.weight"),
        ("Qwen3-0.6B", {"vocab_size": 4097}, ModelFileError, "token_embd.weight"),
        ("Qwen3-0.6B", {"num_hidden_layers": 3}, ModelFileError, "blk.2"),
        ("Qwen3-0.6B", {"num_hidden_layers": 10**9}, ModelFileError, "num_hidden_layers"),
        ("Qwen3-0.6B", {"hidden_size": "64"}, ModelFileError, "hidden_size"),
        ("Qwen3-0.6B", {"num_attention_heads": 3}, ModelFileError, "heads"),
        ("Qwen3-0.6B", {"rope_theta": 1e39}, ModelFileError, "rope_theta"),
        ("Qwen3-0.6B", {"rope_scaling": "yarn"}, ModelFileError, "rope_scaling"),
        ("Qwen3-0.6B", {"rope_scaling": {"rope_type": "yarn"}}, ModelFileError, "factor"),
        ("Qwen3-0.6B", {"rope_scaling": {"rope_type": "mystery"}}, UnsupportedModel, "mystery"),
        ("Qwen3-0.6B", {"architectures": ["MysteryForCausalLM"]}, UnsupportedModel, "llama-cpp-converter"),
        ("Qwen3-0.6B", {"quantization_config": {"quant_method": "fp8"}}, UnsupportedModel, "quantized already (fp8)"),
        ("Qwen3-0.6B", {"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, UnsupportedModel, "llama3"),
        ("Qwen3-30B-A3B", {"mlp_only_layers": [1]}, UnsupportedModel, "1 of its 2 layers have no experts"),
        ("Qwen3-30B-A3B", {"decoder_sparse_step": 2}, UnsupportedModel, "1 of its 2 layers have no experts"),
        ("Qwen3-30B-A3B", {"num_experts": 10**9}, ModelFileError, "num_experts"),
        ("Qwen3-30B-A3B", {"num_experts": 3}, ModelFileError, "ffn_gate_inp"),
        ("qwen3-moe-fused", {"num_local_experts": 4}, ModelFileError, "ffn_down_exps"),
        ("Llama-3.2-1B", {"rope_parameters": {"rope_type": "llama3", "factor": 0}}, ModelFileError, "llama3"),
        ("Phi-3.5-mini-instruct", {"partial_rotary_factor": 0.5}, ModelFileError, "long_factor"),
        ("phi-4", {"rope_scaling": {"type": "linear", "factor": 2}}, UnsupportedModel, "linear"),
    ],
)
def test_config_that_does_not_fit(name, config, error, said, tmp_path):
    # The weights keep the shapes of the unchanged config.
    folder = make_model(name, tmp_path)
    (folder / "config.json").write_text(json.dumps({**MODELS[name]["config"], **config}))

    refused(folder, tmp_path, error, said)


@pytest.mark.parametrize(
    ("dtype", "outtype", "value", "said"),
    [
        ("BF16", None, 0x7FC0, "NaN"),
        ("BF16", "f32", 0xFF80, "infinite"),
        ("F16", None, 0x7C00, "infinite"),
        ("BF16", "f16", 0x7F00, "--outtype"),  # 1.7e38
    ],
)
def test_numbers_that_cannot_be_written(dtype, outtype, value, said, tmp_path):
    folder = make_model("Qwen3-0.6B", tmp_path, {**MODELS["Qwen3-0.6B"], "drop": ("model.embed_tokens.weight",)})
    numbers = np.zeros(4096 * 64, np.uint16)
    numbers[-1] = value
    header = {"model.embed_tokens.weight": (dtype, (4096, 64), numbers.tobytes())}
    write_safetensors(folder / "extra.safetensors", header)
    weight_map = {"model.embed_tokens.weight": "extra.safetensors"}
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    for entry in read_file_header(LocalFiles(folder), "model-1.safetensors"):
        weight_map[entry.name] = "model-1.safetensors"
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))

    with pytest.raises(ModelFileError, match=r"model\.embed_tokens\.weight") as caught:
        convert_folder(folder, tmp_path / "out" / "out.gguf", outtype)
    assert said in str(caught.value)
    assert list((tmp_path / "out").iterdir()) == []


def test_integer_tensor_is_refused(tmp_path):
    folder = make_model("sparse-config", tmp_path)
    write_safetensors(folder / "model.safetensors", {"model.norm.weight": ("I32", (64,), bytes(256))})

    refused(folder, tmp_path, UnsupportedModel, "model.norm.weight", "I32")


def test_no_weights(tmp_path):
    folder = make_model("sparse-config", tmp_path)
    (folder / "model.safetensors").unlink()

    refused(folder, tmp_path, ModelFileError, "safetensors")


def test_weights_in_pytorchs_old_form(tmp_path):
    folder = make_model("sparse-config", tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")

    refused(folder, tmp_path, UnsupportedModel, "pytorch_model.bin", "--converter llama.cpp")


def test_unknown_outtype(tmp_path):
    refused(make_model("sparse-config", tmp_path), tmp_path, UsageError, "q8_0", outtype="q8_0")


def test_shard_that_shrinks_while_it_is_read(tmp_path):
    folder = make_model("sparse-config", tmp_path)
    files = LocalFiles(folder)
    os.truncate(folder / "model.safetensors", files.sizes()["model.safetensors"] - 100)
    source = Source(text="", kind="folder", path=folder)

    with pytest.raises(ModelFileError, match="truncated"):
        converter.convert(files, source, tmp_path / "out" / "out.gguf", name="x")
    assert list((tmp_path / "out").iterdir()) == []


def test_full_disk_is_noticed_first(tmp_path, monkeypatch):
    folder = make_model("sparse-config", tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))

    with pytest.raises(NotEnoughDisk, match="needed"):
        convert_folder(folder, tmp_path / "out" / "out.gguf")
    assert list((tmp_path / "out").iterdir()) == []


def test_existing_file_survives_a_failure_and_is_replaced_by_success(tmp_path):
    folder = make_model("sparse-config", tmp_path)
    output = tmp_path / "out.gguf"
    output.write_bytes(b"old")
    with pytest.raises(UsageError):
        convert_folder(folder, output, "q8_0")
    assert output.read_bytes() == b"old"

    (tmp_path / ".out.gguf.part").write_bytes(bytes(10_000_000))  # what a killed run left
    convert_folder(folder, output)
    assert read_header(LocalFiles(output), "out.gguf").tensors
    assert not (tmp_path / ".out.gguf.part").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="no advisory locks there")
def test_two_runs_do_not_write_one_file(tmp_path):
    import fcntl

    folder = make_model("sparse-config", tmp_path)
    with (tmp_path / ".out.gguf.part").open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="Another process"):
            convert_folder(folder, tmp_path / "out.gguf")
        assert (tmp_path / ".out.gguf.part").exists()
