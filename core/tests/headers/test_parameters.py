"""Counts by formula, held against models that transformers 5.23 built without data (on the meta device)."""

import pytest

from pajamas.architecture_hf import detect_hf

BASE = {
    "hidden_size": 128,
    "intermediate_size": 192,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "vocab_size": 320,
}
EXPERTS = {"num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 48}
SHARED = {**EXPERTS, "shared_expert_intermediate_size": 80}
# model_type, what its config adds, parameters, non-embedding parameters, parameters of routed experts
BUILT = [
    ("qwen2", {}, 542592, 460672, 0),
    ("qwen2", {"tie_word_embeddings": True}, 501632, 460672, 0),
    ("qwen2_moe", SHARED, 816512, 734592, 442368),
    (
        "qwen2_moe",
        {**SHARED, "qkv_bias": False, "mlp_only_layers": [0, 2], "tie_word_embeddings": True},
        637824,
        596864,
        221184,
    ),
    ("qwen2_moe", {**SHARED, "decoder_sparse_step": 2}, 679552, 597632, 221184),
    ("qwen3", {"head_dim": 32}, 705920, 624000, 0),
    ("qwen3", {"attention_bias": True, "tie_word_embeddings": True}, 1655424, 1614464, 0),
    ("qwen3_moe", {**EXPERTS, "head_dim": 32}, 856448, 774528, 442368),
    (
        "qwen3_moe",
        {**EXPERTS, "mlp_only_layers": [1], "decoder_sparse_step": 2, "attention_bias": True},
        580864,
        498944,
        110592,
    ),
    ("llama", {}, 541824, 459904, 0),
    ("llama", {"attention_bias": True, "mlp_bias": True}, 545152, 463232, 0),
    ("llama", {"num_key_value_heads": None, "tie_word_embeddings": True, "head_dim": 24}, 730240, 689280, 0),
    ("mistral", {}, 541824, 459904, 0),
    ("mistral", {"head_dim": 24}, 623744, 541824, 0),
    ("mixtral", {"num_local_experts": 4, "num_experts_per_tok": 2}, 1428608, 1346688, 1179648),
    ("phi3", {}, 541824, 459904, 0),
    ("phi3", {"tie_word_embeddings": True}, 500864, 459904, 0),
    ("gemma2", {"head_dim": 32}, 665728, 624768, 0),
    ("gemma2", {"attention_bias": True}, 2972288, 2931328, 0),
    ("gemma3_text", {"head_dim": 32}, 665984, 625024, 0),
    ("gpt_oss", {"num_local_experts": 4, "num_experts_per_tok": 2, "head_dim": 32}, 1602736, 1520816, 1187840),
]


class Nothing:
    """No files beside the config."""

    origin = "nothing"

    def sizes(self):
        return {}


@pytest.mark.parametrize(("model_type", "extra", "total", "non_embedding", "routed"), BUILT)
def test_formula_is_exact(model_type, extra, total, non_embedding, routed):
    found = detect_hf(Nothing(), {"model_type": model_type, **BASE, **extra})

    active = total
    if found.num_experts:
        active = total - routed + routed * found.num_active_experts // found.num_experts
    assert found.parameters == total
    assert found.non_embedding_parameters == non_embedding
    assert found.active_parameters == active


@pytest.mark.parametrize("missing", ["hidden_size", "num_hidden_layers", "vocab_size", "intermediate_size"])
def test_no_count_without_a_dimension(missing):
    config = {"model_type": "llama", **BASE}
    del config[missing]

    assert detect_hf(Nothing(), config).parameters is None


def test_text_config_does_not_give_the_size_of_a_model_with_vision():
    found = detect_hf(Nothing(), {"model_type": "gemma3", "text_config": {"hidden_size": 2560}})

    assert found.hidden_size == 2560
    assert found.parameters is None
