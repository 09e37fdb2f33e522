"""Models whose facts are known: their configs, the names and shapes of their tensors, and what detection must say."""

import json

from pajamas.architecture import detect_architecture
from pajamas.modelfiles import LocalFiles
from pajamas.types import Architecture

QWEN3_8B = Architecture(
    model_type="qwen3",
    family="Qwen3",
    num_layers=36,
    hidden_size=4096,
    intermediate_size=12288,
    num_heads=32,
    num_kv_heads=8,
    head_dim=128,
    attention_type="gqa",
    vocab_size=151936,
    tied_embeddings=False,
    context_length=40960,
    native_context_length=32768,
    extended_context_length=131072,
    context_source="model card",
    parameters=8_190_735_360,
    non_embedding_parameters=6_946_075_648,
    active_parameters=8_190_735_360,
    dtype="bfloat16",
    convertible=True,
)
LLAMA_31_8B = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "rope_scaling": {
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
        "rope_type": "llama3",
    },
}
MISTRAL_7B_03 = {
    "model_type": "mistral",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 32768,
    "max_position_embeddings": 32768,
    "sliding_window": None,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}
SMALL = {
    "model_type": "qwen3",
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": 100,
    "max_position_embeddings": 512,
    "tie_word_embeddings": True,
}


def hf_tensors(config, *, qk_norm=False, fused=False, experts=0):
    """Names and shapes as the makers' repositories have them."""
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    width = config.get("head_dim") or hidden // heads
    q, kv, inner = heads * width, config["num_key_value_heads"] * width, config["intermediate_size"]
    shapes = {"model.embed_tokens.weight": (config["vocab_size"], hidden), "model.norm.weight": (hidden,)}
    if not config["tie_word_embeddings"]:
        shapes["lm_head.weight"] = (config["vocab_size"], hidden)
    for layer in range(config["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        shapes |= {f"{at}input_layernorm.weight": (hidden,), f"{at}post_attention_layernorm.weight": (hidden,)}
        shapes[f"{at}self_attn.o_proj.weight"] = (hidden, q)
        if fused:
            shapes[f"{at}self_attn.qkv_proj.weight"] = (q + 2 * kv, hidden)
            shapes |= {
                f"{at}mlp.gate_up_proj.weight": (2 * inner, hidden),
                f"{at}mlp.down_proj.weight": (hidden, inner),
            }
            continue
        shapes |= {f"{at}self_attn.{name}_proj.weight": (q if name == "q" else kv, hidden) for name in "qkv"}
        if qk_norm:
            shapes |= {f"{at}self_attn.{name}_norm.weight": (width,) for name in "qk"}
        if experts:
            shapes[f"{at}mlp.gate.weight"] = (experts, hidden)
            inner = config["moe_intermediate_size"]
        for expert in range(experts or 1):
            mlp = f"{at}mlp.experts.{expert}." if experts else f"{at}mlp."
            shapes |= {f"{mlp}gate_proj.weight": (inner, hidden), f"{mlp}up_proj.weight": (inner, hidden)}
            shapes[f"{mlp}down_proj.weight"] = (hidden, inner)
    return {name: ("BF16", shape) for name, shape in shapes.items()}


def gpt_oss_tensors(config, mxfp4):
    hidden, inner, experts, width = 2880, 2880, 32, 64
    shapes = {
        "model.embed_tokens.weight": ("BF16", (201088, hidden)),
        "lm_head.weight": ("BF16", (201088, hidden)),
        "model.norm.weight": ("BF16", (hidden,)),
    }
    for layer in range(config["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        plain = {
            f"{at}input_layernorm.weight": (hidden,),
            f"{at}post_attention_layernorm.weight": (hidden,),
            f"{at}self_attn.sinks": (64,),
            f"{at}mlp.router.weight": (experts, hidden),
            f"{at}mlp.router.bias": (experts,),
            f"{at}mlp.experts.gate_up_proj_bias": (experts, 2 * inner),
            f"{at}mlp.experts.down_proj_bias": (experts, hidden),
            f"{at}self_attn.o_proj.weight": (hidden, 64 * width),
            f"{at}self_attn.o_proj.bias": (hidden,),
        }
        for name, heads in (("q", 64), ("k", 8), ("v", 8)):
            plain[f"{at}self_attn.{name}_proj.weight"] = (heads * width, hidden)
            plain[f"{at}self_attn.{name}_proj.bias"] = (heads * width,)
        shapes |= {name: ("BF16", shape) for name, shape in plain.items()}
        for name, rows in (("gate_up_proj", 2 * inner), ("down_proj", hidden)):
            expert = f"{at}mlp.experts.{name}"
            if mxfp4:
                shapes[f"{expert}_blocks"] = ("U8", (experts, rows, 90, 16))
                shapes[f"{expert}_scales"] = ("U8", (experts, rows, 90))
            else:
                shapes[expert] = ("BF16", (experts, 2880, rows))
    return shapes


def real_config(shared, name):
    return json.loads((shared / "configs" / name).read_text())


def detected(folder) -> Architecture:
    found = detect_architecture(LocalFiles(folder))
    assert found is not None
    return found
