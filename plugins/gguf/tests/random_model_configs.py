"""Configs of small models of every family: real ones, shrunk. `random_models` gives them weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

VOCAB = 4096

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
