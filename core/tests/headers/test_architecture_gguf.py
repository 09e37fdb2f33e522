import json
import struct

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from known_models import QWEN3_8B
from pajamas.architecture import detect_architecture
from pajamas.architecture_gguf import architecture_of, model_name
from pajamas.errors import ModelFileError
from pajamas.gguf_header import GGUFHeader
from pajamas.modelfiles import LocalFiles
from pajamas.types import Architecture

F32, F16, Q4_K, Q6_K = 0, 1, 12, 14


def _keys(builder, arch, **values):
    builder.set("general.architecture", arch)
    for key, value in values.items():
        builder.set(f"{arch}.{key.replace('__', '.')}", value)
    return builder


def _qwen3_8b(builder):
    """Qwen3-8B as llama.cpp's converter names its tensors."""
    _keys(
        builder,
        "qwen3",
        block_count=36,
        embedding_length=4096,
        feed_forward_length=12288,
        context_length=40960,
        attention__head_count=32,
        attention__head_count_kv=8,
        attention__key_length=128,
    ).set("general.file_type", 15)
    builder.tensor("token_embd.weight", (151936, 4096), Q4_K).tensor("output.weight", (151936, 4096), Q6_K)
    builder.tensor("output_norm.weight", (4096,))
    for layer in range(36):
        for name, shape in {
            "attn_q": (4096, 4096), "attn_k": (1024, 4096), "attn_v": (1024, 4096), "attn_output": (4096, 4096),
            "ffn_gate": (12288, 4096), "ffn_up": (12288, 4096), "ffn_down": (4096, 12288),
        }.items():  # fmt: skip
            builder.tensor(f"blk.{layer}.{name}.weight", shape, Q4_K)
        for name, size in {"attn_norm": 4096, "ffn_norm": 4096, "attn_q_norm": 128, "attn_k_norm": 128}.items():
            builder.tensor(f"blk.{layer}.{name}.weight", (size,), F32)
    return builder


def test_qwen3_8b(tmp_path, gguf):
    path = _qwen3_8b(gguf()).write(tmp_path / "Qwen3-8B-Q4_K_M.gguf")

    assert detect_architecture(LocalFiles(path)) == evolve(QWEN3_8B, dtype="Q4_K_M")
    assert detect_architecture(LocalFiles(tmp_path)) == evolve(QWEN3_8B, dtype="Q4_K_M")  # the folder that holds it


def test_experts(tmp_path, gguf):
    builder = _keys(
        gguf(), "qwen3moe", block_count=1, embedding_length=256, expert_count=8, expert_used_count=2,
        expert_feed_forward_length=32, attention__head_count=8, attention__head_count_kv=2,
    )  # fmt: skip
    builder.tensor("token_embd.weight", (100, 256)).tensor("blk.0.ffn_gate_inp.weight", (8, 256))
    for name in ("gate", "up", "down"):
        builder.tensor(f"blk.0.ffn_{name}_exps.weight", (8, 32, 256), F16)
    path = builder.write(tmp_path / "x.gguf")

    found = detect_architecture(LocalFiles(path))

    routed = 3 * 8 * 32 * 256
    assert (found.model_type, found.num_experts, found.num_active_experts) == ("qwen3_moe", 8, 2)
    assert found.expert_intermediate_size == 32
    assert found.parameters == 100 * 256 + 8 * 256 + routed
    assert found.active_parameters == found.parameters - routed * 6 // 8
    assert (found.tied_embeddings, found.head_dim) == (True, 32)
    assert found.dtype == "float16"  # no general.file_type: the type of most weights


def test_rope_factors_are_no_parameters(tmp_path, gguf):
    builder = _keys(gguf(), "llama", context_length=131072, attention__head_count=4)
    builder.tensor("token_embd.weight", (10, 32)).tensor("rope_freqs.weight", (64,))

    found = detect_architecture(LocalFiles(builder.write(tmp_path / "x.gguf")))

    assert found.parameters == 320
    assert (found.rope_scaling, found.attention_type) == ("llama3", "mha")
    assert (found.native_context_length, found.context_source) == (None, "not stated")


def test_yarn(tmp_path, gguf):
    builder = _keys(
        gguf(), "gpt-oss", context_length=131072, rope__scaling__type="yarn", rope__scaling__factor=32.0,
        rope__scaling__original_context_length=4096, attention__sliding_window=128,
    )  # fmt: skip

    found = detect_architecture(LocalFiles(builder.write(tmp_path / "x.gguf")))

    assert (found.model_type, found.rope_scaling, found.sliding_window) == ("gpt_oss", "yarn", 128)
    assert (found.native_context_length, found.extended_context_length) == (4096, 131072)


def test_heads_that_differ_from_layer_to_layer(tmp_path, gguf):
    builder = _keys(gguf(), "openelm", block_count=2, attention__head_count=[12, 16], feed_forward_length=[64, 64])

    found = detect_architecture(LocalFiles(builder.write(tmp_path / "x.gguf")))

    assert (found.num_heads, found.intermediate_size, found.num_layers) == (None, 64, 2)
    assert (found.family, found.convertible) == ("openelm", False)


def test_split_model(tmp_path, gguf):
    whole = _qwen3_8b(gguf())
    for number, (tensors, keys) in enumerate([([], whole.keys), (whole.tensors, [])]):
        part = gguf()
        part.keys, part.tensors = list(keys), list(tensors)
        part.data = whole.data if tensors else 0
        part.raw("split.no", 2, struct.pack("<H", number)).raw("split.count", 2, struct.pack("<H", 2))
        part.write(tmp_path / f"m-{number + 1:05d}-of-00002.gguf")

    assert detect_architecture(LocalFiles(tmp_path)) == evolve(QWEN3_8B, dtype="Q4_K_M")
    assert detect_architecture(LocalFiles(tmp_path / "m-00002-of-00002.gguf")) == evolve(QWEN3_8B, dtype="Q4_K_M")


def test_projector_and_imatrix_are_no_models(tmp_path, gguf):
    for name in ("model-Q4_K_M.gguf", "mmproj-model-f16.gguf", "model.imatrix.gguf"):
        _keys(gguf(), "llama").write(tmp_path / name)

    assert model_name(LocalFiles(tmp_path)) == "model-Q4_K_M.gguf"


def test_several_models_are_not_one(tmp_path, gguf):
    for name in ("model-Q4_K_M.gguf", "model-Q8_0.gguf"):
        _keys(gguf(), "llama").write(tmp_path / name)

    assert detect_architecture(LocalFiles(tmp_path)) is None


def test_config_beside_the_only_gguf_does_not_count(tmp_path, gguf):
    _qwen3_8b(gguf()).write(tmp_path / "m.gguf")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen3"}))

    assert detect_architecture(LocalFiles(tmp_path)) == evolve(QWEN3_8B, dtype="Q4_K_M")


def test_real_vocabulary_file(shared):
    found = detect_architecture(LocalFiles(shared / "vocab" / "ggml-vocab-qwen2.gguf"))

    assert (found.model_type, found.vocab_size, found.context_length) == ("qwen2", 151936, 32768)
    assert (found.parameters, found.tied_embeddings) == (None, None)


@pytest.mark.parametrize("content", [b"", b"GGUF", b"no model"])
def test_damaged_file(tmp_path, content):
    (tmp_path / "x.gguf").write_bytes(content)

    with pytest.raises(ModelFileError):
        detect_architecture(LocalFiles(tmp_path / "x.gguf"))


VALUES = st.none() | st.booleans() | st.integers(-5, 2**64 - 1) | st.floats() | st.text(max_size=9)
KEYS = [
    "general.architecture", "general.file_type", "llama.block_count", "llama.embedding_length", "llama.context_length",
    "llama.attention.head_count", "llama.attention.head_count_kv", "llama.attention.key_length", "llama.expert_count",
    "llama.expert_used_count", "llama.vocab_size", "llama.rope.scaling.type", "llama.rope.scaling.factor",
    "llama.rope.scaling.original_context_length", "tokenizer.ggml.tokens",
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), VALUES | st.lists(VALUES, max_size=3).map(tuple), max_size=9))
def test_any_metadata_is_described_or_refused(values):
    header = GGUFHeader(3, {"general.architecture": "llama", **values}, (), 0)
    try:
        found = architecture_of(header)
    except ModelFileError:
        return
    assert found is None or isinstance(found, Architecture)
