"""A small gpt-oss with random weights, its experts in mxfp4 as OpenAI published them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

from random_models import TOKENIZER, encoded, write_safetensors

HIDDEN, INNER, EXPERTS, HEADS, KV_HEADS, HEAD, VOCAB, LAYERS = 64, 96, 4, 4, 2, 16, 4096, 2
CONFIG = {
    "architectures": ["GptOssForCausalLM"], "model_type": "gpt_oss", "attention_bias": True, "head_dim": HEAD,
    "hidden_size": HIDDEN, "intermediate_size": INNER, "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS,
    "num_hidden_layers": LAYERS, "num_local_experts": EXPERTS, "num_experts_per_tok": 2, "rms_norm_eps": 1e-05,
    "layer_types": ["sliding_attention", "full_attention"], "sliding_window": 128, "vocab_size": VOCAB,
    "max_position_embeddings": 4096, "tie_word_embeddings": False, "rope_theta": 150000, "torch_dtype": "bfloat16",
    "rope_scaling": {"rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": False,
        "original_max_position_embeddings": 4096},
    "quantization_config": {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn"]},
}  # fmt: skip


def make_gpt_oss(folder: Path) -> Path:
    folder.mkdir(parents=True)
    random = np.random.RandomState(1)

    def wide(*shape: int) -> tuple[str, tuple[int, ...], bytes]:
        return encoded((random.standard_normal(shape) * 0.05).astype(np.float32), "bfloat16")

    def packed(*shape: int, low: int = 0, high: int = 256) -> tuple[str, tuple[int, ...], bytes]:
        return "U8", shape, random.randint(low, high, shape, dtype=np.uint8).tobytes()

    tensors = {"model.embed_tokens.weight": wide(VOCAB, HIDDEN), "model.norm.weight": wide(HIDDEN)}
    for number in range(LAYERS):
        layer = f"model.layers.{number}"
        for name in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"{layer}.{name}.weight"] = wide(HIDDEN)
        for name, rows, columns in (
            ("q", HEADS * HEAD, HIDDEN), ("k", KV_HEADS * HEAD, HIDDEN), ("v", KV_HEADS * HEAD, HIDDEN),
            ("o", HIDDEN, HEADS * HEAD),
        ):  # fmt: skip
            tensors[f"{layer}.self_attn.{name}_proj.weight"] = wide(rows, columns)
            tensors[f"{layer}.self_attn.{name}_proj.bias"] = wide(rows)
        tensors[f"{layer}.self_attn.sinks"] = wide(HEADS)
        tensors[f"{layer}.mlp.router.weight"] = wide(EXPERTS, HIDDEN)
        tensors[f"{layer}.mlp.router.bias"] = wide(EXPERTS)
        for name, rows, columns in (("gate_up", 2 * INNER, HIDDEN), ("down", HIDDEN, INNER)):
            experts = f"{layer}.mlp.experts.{name}_proj"
            tensors[f"{experts}_blocks"] = packed(EXPERTS, rows, columns // 32, 16)
            tensors[f"{experts}_scales"] = packed(EXPERTS, rows, columns // 32, low=118, high=124)
            tensors[f"{experts}_bias"] = wide(EXPERTS, rows)
    tensors["lm_head.weight"] = wide(VOCAB, HIDDEN)
    write_safetensors(folder / "model.safetensors", tensors)
    (folder / "config.json").write_text(json.dumps(CONFIG, indent=2), encoding="utf-8")
    for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(TOKENIZER / file, folder / file)
    return folder
