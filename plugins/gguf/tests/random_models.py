"""Small models of every family with random weights, in Hugging Face layout: real configs, shrunk.

The weights come from numpy's legacy generator, whose stream is frozen, so that digests of what llama.cpp's converter
made of these models hold for good (converter_goldens.json, written by tools/compare_converters.py).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

TOKENIZER = Path(__file__).parents[2] / "tiny/src/pajamas_tiny/model"
VOCAB = 4096
_DTYPES = {"bfloat16": "BF16", "float16": "F16", "float32": "F32", "float64": "F64"}

_DENSE = {
    "vocab_size": VOCAB, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "attention_dropout": 0.0, "hidden_act": "silu",
    "initializer_range": 0.02, "rms_norm_eps": 1e-6, "use_cache": True, "bos_token_id": 4088, "eos_token_id": 4089,
}  # fmt: skip
_LONG = [1.0, 1.05, 1.2299999, 3.0700001, 5.6, 9.8199997, 21.4, 40.02]
_SHORT = [1.0, 1.01, 1.02, 1.05, 1.1, 1.1500001, 1.3, 2.0]

Model = Mapping[str, Any]
"""config; and optionally: dtype or dtypes (taken in turns), shards, card, generation, files (name to JSON),
drop (names of tensors), extra (name to shape), fused (experts), bare (no output layer, no "model." before names)."""

MODELS: dict[str, Model] = {
    "Qwen2.5-0.5B-Instruct": {
        "config": _DENSE | {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "rope_theta": 1000000.0,
            "max_position_embeddings": 32768, "tie_word_embeddings": True, "use_sliding_window": False,
            "sliding_window": 32768, "max_window_layers": 21, "torch_dtype": "bfloat16"},
        "generation": {"repetition_penalty": 1.1, "temperature": 0.7, "top_p": 0.8, "top_k": 20, "do_sample": True},
        "card": "license: apache-2.0\nlicense_link: https://example.org/LICENSE\nlanguage:\n- en\n- no\n"
            "pipeline_tag: text-generation\nbase_model: Qwen/Qwen2.5-0.5B\ntags:\n- chat\nlibrary_name: transformers",
    },
    "qwen2-7b-untied-f16": {
        "config": _DENSE | {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "rope_theta": 1000000,
            "max_position_embeddings": 131072, "tie_word_embeddings": False, "torch_dtype": "float16"},
        "dtype": "float16", "shards": 3,
    },
    "Qwen2.5-yarn-7B": {
        "config": _DENSE | {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "rope_theta": 1000000.0,
            "rope_scaling": {"factor": 4.0, "original_max_position_embeddings": 32768, "type": "yarn"},
            "max_position_embeddings": 131072, "tie_word_embeddings": False},
    },
    "Qwen3-0.6B": {
        "config": _DENSE | {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "head_dim": 32,
            "rope_theta": 1000000, "max_position_embeddings": 40960, "tie_word_embeddings": True,
            "rope_scaling": None, "attention_bias": False, "torch_dtype": "bfloat16"},
        "generation": {"temperature": 0.6, "top_k": 20, "top_p": 0.95},
    },
    "qwen3-new-style": {
        "config": _DENSE | {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "head_dim": 16,
            "rope_parameters": {"rope_theta": 1000000.0, "rope_type": "yarn", "factor": 2.0, "beta_fast": 32,
                "beta_slow": 1.0, "attention_factor": 1.25}, "layer_types": ["full_attention"] * 2,
            "max_position_embeddings": 4096, "tie_word_embeddings": False, "dtype": "float32"},
        "dtype": "float32", "shards": 2,
    },
    "Qwen3-30B-A3B": {
        "config": _DENSE | {"architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", "head_dim": 32,
            "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 48, "decoder_sparse_step": 1,
            "mlp_only_layers": [], "norm_topk_prob": True, "rope_theta": 1000000.0, "rope_scaling": None,
            "max_position_embeddings": 40960, "tie_word_embeddings": False, "torch_dtype": "bfloat16"},
        "shards": 3,
    },
    "qwen3-moe-fused": {
        "config": _DENSE | {"architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", "head_dim": 32,
            "num_local_experts": 3, "num_experts_per_tok": 2, "moe_intermediate_size": 48,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0},
            "max_position_embeddings": 40960, "tie_word_embeddings": True, "dtype": "bfloat16"},
        "fused": True,
    },
    "Llama-2-7b-hf": {
        "config": _DENSE | {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "num_key_value_heads": 4,
            "max_position_embeddings": 4096, "rms_norm_eps": 1e-05, "rope_scaling": None, "tie_word_embeddings": False,
            "pretraining_tp": 1, "torch_dtype": "float16", "_name_or_path": "meta-llama/Llama-2-7b-hf"},
        "dtype": "float16", "shards": 2,
        "extra": {"model.layers.0.self_attn.rotary_emb.inv_freq": (8,),
            "model.layers.1.self_attn.rotary_emb.inv_freq": (8,)},
    },
    "Llama-3.1-8B-Instruct": {
        "config": _DENSE | {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 256,
            "num_attention_heads": 2, "num_key_value_heads": 1, "attention_bias": False, "mlp_bias": False,
            "max_position_embeddings": 131072, "rms_norm_eps": 1e-05, "tie_word_embeddings": False,
            "rope_scaling": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                "original_max_position_embeddings": 8192, "rope_type": "llama3"},
            "rope_theta": 500000.0, "torch_dtype": "bfloat16", "eos_token_id": [4089, 4087]},
        "card": "license: llama3.1\nextra_gated_prompt: hello\nlanguage:\n- en\n- de\n",
    },
    "Llama-3.2-1B": {
        "config": _DENSE | {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "head_dim": 64,
            "max_position_embeddings": 131072, "rms_norm_eps": 1e-05, "tie_word_embeddings": True,
            "rope_parameters": {"factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                "original_max_position_embeddings": 8192, "rope_type": "llama3", "rope_theta": 500000.0},
            "attention_bias": True, "mlp_bias": True, "dtype": "bfloat16"},
    },
    "llama-linear-v1.5": {
        "config": _DENSE | {"architectures": ["LlamaForCausalLM"], "model_type": "llama",
            "max_position_embeddings": 16384, "rope_scaling": {"type": "linear", "factor": 4},
            "tie_word_embeddings": False},
        "dtypes": ("float32", "bfloat16"),
    },
    "SmolLM2-135M-tied-with-head": {
        "config": _DENSE | {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "num_key_value_heads": None,
            "max_position_embeddings": 8192, "rope_theta": 100000, "rope_scaling": {"type": "dynamic", "factor": 2.0},
            "tie_word_embeddings": True, "torch_dtype": "bfloat16"},
        "extra": {"lm_head.weight": (VOCAB, 64)}, "dtype": "float64",
    },
    "llama-yarn-checkpoint-1000": {
        "config": _DENSE | {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "tie_word_embeddings": False,
            "max_position_embeddings": 8192, "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "beta_fast": 32,
                "beta_slow": 1, "attention_factor": None, "attn_factor": 1.1, "extrapolation_factor": 1.0}},
    },
    "Mistral-7B-Instruct-v0.3": {
        "config": _DENSE | {"architectures": ["MistralForCausalLM"], "model_type": "mistral", "rms_norm_eps": 1e-05,
            "max_position_embeddings": 32768, "rope_theta": 1000000.0, "sliding_window": None,
            "tie_word_embeddings": False, "torch_dtype": "bfloat16"},
        "card": "base_model:\n- mistralai/Mistral-7B-v0.3\n- https://huggingface.co/a/b-7B\ndatasets:\n- org/data-set\n"
            "model_name: Mistral Instruct\ntags: merge\nmodel_creator: someone",
        "shards": 2,
    },
    "Mistral-Nemo-Instruct-2407": {
        "config": _DENSE | {"architectures": ["MistralForCausalLM"], "model_type": "mistral", "rms_norm_eps": 1e-05,
            "head_dim": 24, "max_position_embeddings": 1024000, "rope_theta": 1000000.0, "sliding_window": None,
            "tie_word_embeddings": False, "torch_dtype": "bfloat16"},
    },
    "Phi-3-mini-4k-instruct": {
        "config": _DENSE | {"architectures": ["Phi3ForCausalLM"], "model_type": "phi3", "num_key_value_heads": 4,
            "max_position_embeddings": 4096, "original_max_position_embeddings": 4096, "rms_norm_eps": 1e-05,
            "rope_scaling": None, "rope_theta": 10000.0, "sliding_window": 2047, "tie_word_embeddings": False,
            "auto_map": {"AutoConfig": "configuration_phi3.Phi3Config"}, "torch_dtype": "bfloat16"},
    },
    "Phi-3.5-mini-instruct": {
        "config": _DENSE | {"architectures": ["Phi3ForCausalLM"], "model_type": "phi3", "num_key_value_heads": 4,
            "max_position_embeddings": 131072, "original_max_position_embeddings": 4096, "rms_norm_eps": 1e-05,
            "rope_scaling": {"type": "longrope", "long_factor": _LONG, "short_factor": _SHORT},
            "rope_theta": 10000.0, "sliding_window": 262144, "tie_word_embeddings": False},
        "shards": 2,
    },
    "phi-4": {
        "config": _DENSE | {"architectures": ["Phi3ForCausalLM"], "model_type": "phi3",
            "_name_or_path": "microsoft/phi-4", "max_position_embeddings": 16384,
            "original_max_position_embeddings": 16384, "rms_norm_eps": 1e-05, "rope_scaling": None,
            "rope_theta": 250000, "sliding_window": None, "tie_word_embeddings": False, "torch_dtype": "bfloat16"},
    },
    "Phi-4-mini-instruct": {
        "config": _DENSE | {"architectures": ["Phi3ForCausalLM"], "model_type": "phi3", "partial_rotary_factor": 0.75,
            "max_position_embeddings": 131072, "original_max_position_embeddings": 4096, "rms_norm_eps": 1e-05,
            "rope_scaling": {"type": "longrope", "long_factor": _LONG[:6], "short_factor": _SHORT[:6]},
            "rope_theta": 10000.0, "sliding_window": 262144, "tie_word_embeddings": True, "torch_dtype": "bfloat16"},
    },
    "phi3-128k-first-config": {
        "config": _DENSE | {"architectures": ["Phi3ForCausalLM"], "model_type": "phi3", "num_key_value_heads": 4,
            "max_position_embeddings": 131072, "original_max_position_embeddings": 4096,
            "rope_scaling": {"type": "su", "long_factor": _LONG, "short_factor": _SHORT},
            "rope_theta": 10000.0, "sliding_window": 131072, "tie_word_embeddings": False},
    },
    "Qwen3-Embedding-0.6B": {
        "config": _DENSE | {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "head_dim": 32,
            "rope_theta": 1000000, "max_position_embeddings": 32768, "tie_word_embeddings": True},
        "files": {"modules.json": [{"path": "", "type": "sentence_transformers.models.Transformer"},
            {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}],
            "1_Pooling/config.json": {"pooling_mode_mean_tokens": False, "pooling_mode_lasttoken": True}},
        "bare": True,
    },
    "gte-Qwen2-1.5B": {
        "config": _DENSE | {"architectures": ["Qwen2Model"], "model_type": "qwen2", "is_causal": False,
            "rope_theta": 1000000, "max_position_embeddings": 32768, "tie_word_embeddings": False},
        "bare": True, "dtype": "float32",
    },
    "sparse-config": {
        "config": {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": VOCAB,
            "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1, "num_attention_heads": 2},
    },
}  # fmt: skip


def make_model(name: str, parent: Path, model: Model | None = None) -> Path:
    """The model called `name` as a folder of that name in `parent`, with the bundled model's tokenizer."""
    model = MODELS[name] if model is None else model
    folder = parent / name
    folder.mkdir(parents=True)
    config = model["config"]
    _write_json(folder / "config.json", config)
    if "generation" in model:
        _write_json(folder / "generation_config.json", model["generation"])
    if "card" in model:
        (folder / "README.md").write_text(f"---\n{model['card']}\n---\n# {name}\n", encoding="utf-8")
    for file, value in model.get("files", {}).items():
        (folder / file).parent.mkdir(exist_ok=True)
        _write_json(folder / file, value)
    for file in ("tokenizer.json", "chat_template.jinja"):
        shutil.copyfile(TOKENIZER / file, folder / file)
    tokenizer = json.loads((TOKENIZER / "tokenizer_config.json").read_text(encoding="utf-8"))
    if config["model_type"] == "phi3":
        tokenizer["tokenizer_class"] = "GPT2Tokenizer"
    _write_json(folder / "tokenizer_config.json", tokenizer)
    write_weights(folder, model, seed=sum(name.encode()))
    return folder


def write_weights(folder: Path, model: Model, seed: int = 0) -> None:
    """Random weights for the model's config, in as many shards as it says, a layer's tensors spread over them."""
    random = np.random.RandomState(seed)
    dtypes = model.get("dtypes", (model.get("dtype", "bfloat16"),))
    names = [name for name in tensor_shapes(model) if name not in model.get("drop", ())]
    shapes = tensor_shapes(model)
    count = model.get("shards", 1)
    parts: list[dict[str, tuple[str, tuple[int, ...], bytes]]] = [{} for _ in range(count)]
    for number, name in enumerate(names):
        values = (random.standard_normal(shapes[name]) * 0.05).astype(np.float32)
        if name.endswith("norm.weight"):
            values += 1
        dtype = dtypes[number % len(dtypes)] if len(shapes[name]) > 1 else dtypes[-1]
        parts[number * count // len(names)][name] = encoded(values, dtype)
    if count == 1:
        write_safetensors(folder / "model.safetensors", parts[0])
        return
    weight_map = {}
    for number, part in enumerate(parts):
        file = f"model-{number + 1:05d}-of-{count:05d}.safetensors"
        write_safetensors(folder / file, part)
        weight_map |= dict.fromkeys(part, file)
    _write_json(folder / "model.safetensors.index.json", {"metadata": {"total_size": 0}, "weight_map": weight_map})


def encoded(values: np.ndarray, dtype: str) -> tuple[str, tuple[int, ...], bytes]:
    """A tensor as safetensors names its type, its shape and its bytes. BF16 is cut, not rounded: any bits will do."""
    shape = values.shape
    if dtype == "bfloat16":
        values = (values.view(np.uint32) >> 16).astype(np.uint16)
    elif dtype != "float32":
        values = values.astype(dtype)
    return _DTYPES[dtype], shape, values.tobytes()


def write_safetensors(path: Path, tensors: Mapping[str, tuple[str, tuple[int, ...], bytes]]) -> None:
    """One safetensors file; written by hand, since numpy knows no BF16."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header).encode()
    with path.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        stream.writelines(data for _, _, data in tensors.values())


def tensor_shapes(model: Model) -> dict[str, tuple[int, ...]]:
    """Names and shapes as transformers saves a model of this config."""
    config = model["config"]
    hidden = config["hidden_size"]
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (config["vocab_size"], hidden)}
    for layer in range(config["num_hidden_layers"]):
        shapes |= {f"model.layers.{layer}.{name}": shape for name, shape in _layer(model)}
    shapes["model.norm.weight"] = (hidden,)
    if not config.get("tie_word_embeddings"):
        shapes["lm_head.weight"] = (config["vocab_size"], hidden)
    if model.get("bare"):
        shapes = {name.removeprefix("model."): shape for name, shape in shapes.items() if name != "lm_head.weight"}
    return shapes | model.get("extra", {})


def _layer(model: Model) -> Iterator[tuple[str, tuple[int, ...]]]:
    config = model["config"]
    hidden, inner, heads = config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]
    kind, kv_heads = config["model_type"], config.get("num_key_value_heads") or heads
    size = config.get("head_dim") or hidden // heads
    yield "input_layernorm.weight", (hidden,)
    yield "post_attention_layernorm.weight", (hidden,)
    yield "self_attn.o_proj.weight", (hidden, heads * size)
    if kind == "phi3":
        yield "self_attn.qkv_proj.weight", ((heads + 2 * kv_heads) * size, hidden)
        yield "mlp.gate_up_proj.weight", (2 * inner, hidden)
        yield "mlp.down_proj.weight", (hidden, inner)
        return
    for name, rows in (("q", heads * size), ("k", kv_heads * size), ("v", kv_heads * size)):
        yield f"self_attn.{name}_proj.weight", (rows, hidden)
        if kind == "qwen2" or config.get("attention_bias"):
            yield f"self_attn.{name}_proj.bias", (rows,)
    if config.get("attention_bias"):
        yield "self_attn.o_proj.bias", (hidden,)
    if kind.startswith("qwen3"):
        yield "self_attn.q_norm.weight", (size,)
        yield "self_attn.k_norm.weight", (size,)
    if kind == "qwen3_moe":
        yield from _experts(config, model.get("fused", False))
        return
    for name, shape in (("gate", (inner, hidden)), ("up", (inner, hidden)), ("down", (hidden, inner))):
        yield f"mlp.{name}_proj.weight", shape
        if config.get("mlp_bias"):
            yield f"mlp.{name}_proj.bias", shape[:1]


def _experts(config: Mapping[str, Any], fused: bool) -> Iterator[tuple[str, tuple[int, ...]]]:
    count = config.get("num_experts") or config["num_local_experts"]
    hidden, inner = config["hidden_size"], config["moe_intermediate_size"]
    yield "mlp.gate.weight", (count, hidden)
    if fused:
        yield "mlp.experts.gate_up_proj", (count, 2 * inner, hidden)
        yield "mlp.experts.down_proj", (count, hidden, inner)
        return
    for number in range(count):
        yield f"mlp.experts.{number}.gate_proj.weight", (inner, hidden)
        yield f"mlp.experts.{number}.up_proj.weight", (inner, hidden)
        yield f"mlp.experts.{number}.down_proj.weight", (hidden, inner)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2), encoding="utf-8")
