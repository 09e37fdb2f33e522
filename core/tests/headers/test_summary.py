import pytest
from attrs import evolve

from known_models import QWEN3_8B
from pajamas.summary import describe_attention, describe_context, describe_parameters, format_count


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (8_190_735_360, "8.19B"),
        (6_946_075_648, "6.95B"),
        (30_532_122_624, "30.53B"),
        (4_197_120, "4.20M"),
        (999_999_999, "1.00B"),
        (1_027_000_000_000, "1.03T"),
        (1_500, "1.50K"),
        (7, "7"),
        (0, "0"),
    ],
)
def test_counts(count, text):
    assert format_count(count) == text


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({}, "Dense decoder (GQA 4:1)"),
        ({"attention_type": "mha"}, "Dense decoder (MHA)"),
        ({"attention_type": "mqa"}, "Dense decoder (MQA)"),
        ({"attention_type": None}, "Dense decoder"),
        ({"num_heads": 5, "num_kv_heads": 2}, "Dense decoder (GQA 5:2)"),
        ({"sliding_window": 512}, "Dense decoder (GQA 4:1; sliding window 512)"),
        ({"sliding_window": 40960}, "Dense decoder (GQA 4:1)"),
        ({"model_type": "newmodel", "attention_type": "mla"}, "Dense model (MLA)"),
        (
            {"num_experts": 128, "num_active_experts": 8, "num_kv_heads": 4},
            "Mixture of experts (128 experts, 8 active; GQA 8:1)",
        ),
    ],
)
def test_attention(values, text):
    assert describe_attention(evolve(QWEN3_8B, **values)) == text


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({}, "40,960 in config (32,768 native, 131,072 extended by YaRN; model card)"),
        (
            {"rope_scaling": "llama3", "context_source": "config", "context_length": 131072},
            "131,072 in config (32,768 native, 131,072 extended by llama3 scaling)",
        ),
        (
            {"native_context_length": None, "context_source": "not stated"},
            "40,960 in config (native and extended: not stated)",
        ),
        (
            {"native_context_length": None, "context_source": "not stated", "rope_scaling": "linear"},
            "40,960 in config (native and extended: not stated; linear scaling)",
        ),
        ({"num_layers": 28, "extended_context_length": None}, "40,960 in config (32,768 native; model card)"),
        ({"context_length": None}, "not stated"),
    ],
)
def test_context(values, text):
    assert describe_context(evolve(QWEN3_8B, **values)) == text


def test_parameters():
    assert describe_parameters(QWEN3_8B) == "8.19B parameters (6.95B non-embedding)"
    assert describe_parameters(evolve(QWEN3_8B, parameters=None)) == "parameters not stated"
    experts = evolve(QWEN3_8B, active_parameters=3_353_032_704)
    assert describe_parameters(experts) == "8.19B parameters (6.95B non-embedding, 3.35B active)"
