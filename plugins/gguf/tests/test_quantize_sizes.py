"""Sizes of a real model, from its shapes and its real vocabulary: no weights are needed."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path

import attrs
import pytest

from pajamas.architecture import detect_architecture
from pajamas_gguf.quantize.pipeline import quantize
from quantize_jobs import FarFiles, make_job

SHARED = Path(__file__).parents[4] / "shared/data"


@pytest.fixture(scope="module")
def qwen3_8b(tmp_path_factory):
    """A folder with the shapes of Qwen/Qwen3-8B; its weights are one hole of 16 GB."""
    config_path = SHARED / "configs/qwen3-8B.config.json"
    if not config_path.exists() or not (SHARED / "qwen2-tokenizer").exists():
        pytest.skip("configs/qwen3-8B.config.json or qwen2-tokenizer is not in ../shared/data")
    folder = tmp_path_factory.mktemp("hub") / "Qwen3-8B"
    shutil.copytree(SHARED / "qwen2-tokenizer", folder)
    shutil.copyfile(config_path, folder / "config.json")
    config = json.loads(config_path.read_text())
    hidden, inner, vocabulary = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    head = config["head_dim"]
    queries, keys = config["num_attention_heads"] * head, config["num_key_value_heads"] * head
    shapes = {
        "model.embed_tokens.weight": [vocabulary, hidden],
        "lm_head.weight": [vocabulary, hidden],
        "model.norm.weight": [hidden],
    }
    for layer in range(config["num_hidden_layers"]):
        for name, shape in {
            "input_layernorm": [hidden], "post_attention_layernorm": [hidden], "self_attn.q_norm": [head],
            "self_attn.k_norm": [head], "self_attn.q_proj": [queries, hidden], "self_attn.k_proj": [keys, hidden],
            "self_attn.v_proj": [keys, hidden], "self_attn.o_proj": [hidden, queries], "mlp.gate_proj": [inner, hidden],
            "mlp.up_proj": [inner, hidden], "mlp.down_proj": [hidden, inner],
        }.items():  # fmt: skip
            shapes[f"model.layers.{layer}.{name}.weight"] = shape
    header, end = {}, 0
    for name, shape in shapes.items():
        begin, end = end, end + 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with (folder / "model.safetensors").open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text)
        stream.truncate(8 + len(text) + end)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scheme", "gigabytes", "bits"), [("Q4_K_M", 5.03, 4.91), ("Q3_K_M", 4.12, 4.03), ("Q6_K", 6.73, 6.57)]
)
def test_qwen3_8b(scheme, gigabytes, bits, qwen3_8b, tmp_path):
    job = make_job(qwen3_8b, tmp_path / "out.gguf", scheme, dry_run=True)
    far = FarFiles(job.files)

    artifact = quantize(attrs.evolve(job, files=far, architecture=detect_architecture(job.files)))

    assert artifact.parameters == 8_190_735_360
    assert round(artifact.size / 1e9, 2) == gigabytes
    assert round(artifact.bits_per_weight, 2) == bits
    # The tokenizer and the headers.
    assert far.taken < 50e6
