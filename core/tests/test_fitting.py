"""What cannot be loaded is refused before it is: a context beyond the model's, and more memory than there is."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve

from pajamas.errors import NotEnoughMemory
from pajamas.operations.fitting import available_memory, check_memory, context_warning, kv_cache
from pajamas.types import Architecture, LoadOptions

QWEN3_8B = Architecture(
    model_type="qwen3", family="Qwen3", num_layers=36, num_heads=32, num_kv_heads=8, head_dim=128,
    attention_type="gqa", context_length=40960, extended_context_length=131072,
)  # fmt: skip
FILE = Path("qwen3-8b-q4_k_m.gguf")


def test_a_context_beyond_the_trained_one_is_warned_of_with_what_to_do():
    warning = context_warning(QWEN3_8B, 65536, FILE)

    assert "65,536 tokens is longer than qwen3-8b-q4_k_m.gguf was trained for, 40,960" in warning
    assert "131,072 with a rope scaling" in warning
    assert "--context 40960" in warning and "rope_scaling" in warning


@pytest.mark.parametrize(
    ("architecture", "asked"),
    [
        (QWEN3_8B, 40960),
        (QWEN3_8B, None),
        (evolve(QWEN3_8B, rope_scaling="yarn"), 131072),
        (evolve(QWEN3_8B, context_length=None), 1 << 20),
    ],
)
def test_a_context_that_the_file_has_is_not(architecture, asked):
    assert context_warning(architecture, asked, FILE) is None


def test_the_cache_of_keys_and_values():
    # 144 KiB a token, as llama.cpp reports for Qwen3-8B: 1152 MiB at 8192 tokens.
    assert kv_cache(QWEN3_8B, 8192, None) == 1152 << 20
    assert kv_cache(QWEN3_8B, 8192, "q8_0") == 612 << 20
    assert kv_cache(evolve(QWEN3_8B, attention_type="mla"), 8192, None) == 0
    assert kv_cache(evolve(QWEN3_8B, sliding_window=512), 8192, None) == 0


def test_too_little_memory_is_refused_with_figures():
    with pytest.raises(NotEnoughMemory) as caught:
        check_memory(QWEN3_8B, LoadOptions(), 5_030_000_000, 6_000_000_000, FILE)

    assert "weights take 5.03 GB, 8,192 tokens of context 1.21 GB, and 6.00 GB are free" in caught.value.why
    assert "--context" in caught.value.fix
    with pytest.raises(NotEnoughMemory, match="smaller scheme"):
        check_memory(QWEN3_8B, LoadOptions(), 5_030_000_000, 4_000_000_000, FILE)


def test_enough_memory_is_enough():
    check_memory(QWEN3_8B, LoadOptions(), 5_030_000_000, 6_300_000_000, FILE)
    check_memory(QWEN3_8B, LoadOptions(context_length=512), 5_030_000_000, 5_200_000_000, FILE)


def test_this_machine_has_some_memory_left():
    free = available_memory()

    assert free is None or 10**6 < free < 10**15
