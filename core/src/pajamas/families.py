"""The model families that core knows: what their configs leave out, and what their layers hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from attrs import field, frozen


@frozen(kw_only=True)
class Family:
    """One `model_type` of transformers.

    `defaults` are those of its config class in transformers 5, for keys that published configs leave out. The other
    fields say which weights a layer has beyond the usual ones; a text names the config's switch for them.
    """

    name: str
    convertible: bool = False
    defaults: Mapping[str, Any] = field(factory=dict)
    qkv_bias: bool | str = False
    output_bias: bool | str = False
    """Of the attention's output projection."""
    mlp_bias: bool | str = False
    qk_norm: bool = False
    sinks: bool = False
    """One learned attention sink for each head."""
    norms: int = 2
    """RMS norms of the hidden size in each layer."""
    moe: bool = False
    moe_bias: bool = False
    """Router and experts have biases."""
    vision: bool = False
    """The checkpoint holds more than its text model, so the text config does not give its size."""


_GEMMA3 = {
    "vocab_size": 262_208,
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 26,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "max_position_embeddings": 131_072,
    "sliding_window": 4096,
    "tie_word_embeddings": True,
}

FAMILIES: Mapping[str, Family] = {
    "qwen2": Family(
        name="Qwen2",
        convertible=True,
        defaults={"num_key_value_heads": 32, "sliding_window": 4096, "use_sliding_window": False},
        qkv_bias=True,
    ),
    "qwen2_moe": Family(
        name="Qwen2-MoE",
        defaults={
            "num_key_value_heads": 16,
            "sliding_window": 4096,
            "use_sliding_window": False,
            "num_experts": 60,
            "num_experts_per_tok": 4,
            "moe_intermediate_size": 1408,
            "shared_expert_intermediate_size": 5632,
            "qkv_bias": True,
        },
        qkv_bias="qkv_bias",
        moe=True,
    ),
    "qwen3": Family(
        name="Qwen3",
        convertible=True,
        defaults={
            "num_key_value_heads": 32,
            "head_dim": 128,
            "sliding_window": 4096,
            "use_sliding_window": False,
        },
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        qk_norm=True,
    ),
    "qwen3_moe": Family(
        name="Qwen3-MoE",
        convertible=True,
        defaults={
            "num_key_value_heads": 4,
            "sliding_window": 4096,
            "use_sliding_window": False,
            "num_experts": 128,
            "num_experts_per_tok": 8,
            "moe_intermediate_size": 768,
        },
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        qk_norm=True,
        moe=True,
    ),
    "llama": Family(
        name="Llama",
        convertible=True,
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        mlp_bias="mlp_bias",
        defaults={"num_key_value_heads": None},
    ),
    "mistral": Family(name="Mistral", convertible=True, defaults={"num_key_value_heads": 8, "sliding_window": 4096}),
    "mixtral": Family(
        name="Mixtral",
        defaults={"num_key_value_heads": 8, "num_local_experts": 8, "num_experts_per_tok": 2},
        moe=True,
    ),
    "phi3": Family(name="Phi-3/Phi-4", convertible=True, defaults={"num_key_value_heads": None}),
    "gemma2": Family(
        name="Gemma 2",
        defaults={"num_key_value_heads": 4, "head_dim": 256, "sliding_window": 4096, "tie_word_embeddings": True},
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        norms=4,
    ),
    "gemma3_text": Family(
        name="Gemma 3",
        defaults=_GEMMA3,
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        qk_norm=True,
        norms=4,
    ),
    "gemma3": Family(name="Gemma 3", defaults=_GEMMA3, vision=True),
    "gpt_oss": Family(
        name="gpt-oss",
        defaults={
            "num_key_value_heads": 8,
            "head_dim": 64,
            "sliding_window": 128,
            "num_local_experts": 128,
            "num_experts_per_tok": 4,
            "attention_bias": True,
        },
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        sinks=True,
        moe=True,
        moe_bias=True,
    ),
}
"""By `model_type`. All of them but Gemma leave the output layer untied where the config does not say."""

GGUF_NAMES = {
    "qwen2moe": "qwen2_moe",
    "qwen3moe": "qwen3_moe",
    "gpt-oss": "gpt_oss",
    "gemma3": "gemma3_text",
}
"""`general.architecture` of GGUF to `model_type`, where they differ."""


def attention_type(
    heads: int | None, kv_heads: int | None, *, mla: bool = False
) -> Literal["mha", "gqa", "mqa", "mla"] | None:
    """The kind of attention that these numbers of heads make."""
    if mla:
        return "mla"
    if heads is None or kv_heads is None:
        return None
    if heads == kv_heads:
        return "mha"
    return "mqa" if kv_heads == 1 else "gqa"
