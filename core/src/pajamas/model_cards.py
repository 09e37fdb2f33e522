"""Context lengths that no model file holds, from the makers' model cards.

Qwen3's config says 40,960, which is the native 32,768 and room for an answer; how far YaRN was tested stands only in
its card. Where models with one key differ, the entry says what is true of all of them.
"""

from __future__ import annotations

from attrs import frozen


@frozen
class CardContext:
    """Native and extended context in tokens, and where that is written."""

    native: int
    extended: int | None
    scaling: str | None
    """What reaches the extended length: "yarn"."""
    citation: str


_K32, _K128, _K256 = 32_768, 131_072, 262_144


def _hub(name: str) -> str:
    return f"https://huggingface.co/{name}"


# (model_type, max_position_embeddings, num_layers)
_CARDS = {
    # "Context Length: 32,768"; 0.6B has 28 layers too.
    ("qwen3", 40_960, 28): CardContext(_K32, None, None, _hub("Qwen/Qwen3-1.7B")),
    # "Context Length: 32,768 natively and 131,072 tokens with YaRN"; 4B has 36 layers too.
    ("qwen3", 40_960, 36): CardContext(_K32, _K128, "yarn", _hub("Qwen/Qwen3-8B")),
    ("qwen3", 40_960, 40): CardContext(_K32, _K128, "yarn", _hub("Qwen/Qwen3-14B")),
    ("qwen3", 40_960, 64): CardContext(_K32, _K128, "yarn", _hub("Qwen/Qwen3-32B")),
    ("qwen3_moe", 40_960, 48): CardContext(_K32, _K128, "yarn", _hub("Qwen/Qwen3-30B-A3B")),
    ("qwen3_moe", 40_960, 94): CardContext(_K32, _K128, "yarn", _hub("Qwen/Qwen3-235B-A22B")),
    # "Context Length: 262,144 natively"
    ("qwen3", _K256, 36): CardContext(_K256, None, None, _hub("Qwen/Qwen3-4B-Instruct-2507")),
    # Qwen3-Coder-30B-A3B has the same key; its card speaks of 1M tokens, without the number.
    ("qwen3_moe", _K256, 48): CardContext(_K256, None, None, _hub("Qwen/Qwen3-30B-A3B-Instruct-2507")),
    ("qwen3_moe", _K256, 62): CardContext(_K256, None, None, _hub("Qwen/Qwen3-Coder-480B-A35B-Instruct")),
    ("qwen3_moe", _K256, 94): CardContext(_K256, None, None, _hub("Qwen/Qwen3-235B-A22B-Instruct-2507")),
    # "Context Length: Full 32,768 tokens and generation 8192 tokens"
    ("qwen2", _K32, 24): CardContext(_K32, None, None, _hub("Qwen/Qwen2.5-0.5B-Instruct")),
    # 7B goes on to 131,072 with YaRN, 1.5B with the same number of layers does not.
    ("qwen2", _K32, 28): CardContext(_K32, None, None, _hub("Qwen/Qwen2.5-1.5B-Instruct")),
    ("qwen2", _K32, 36): CardContext(_K32, None, None, _hub("Qwen/Qwen2.5-3B-Instruct")),
    # "Context Length: Full 131,072 tokens", "config.json is set for context length up to 32,768 tokens ... YaRN"
    ("qwen2", _K32, 48): CardContext(_K32, _K128, "yarn", _hub("Qwen/Qwen2.5-14B-Instruct")),
    # QwQ-32B-Preview was made from 32B and has its key; its own card names 32,768 only.
    ("qwen2", _K32, 64): CardContext(_K32, _K128, "yarn", _hub("Qwen/Qwen2.5-32B-Instruct")),
    ("qwen2", _K32, 80): CardContext(_K32, _K128, "yarn", _hub("Qwen/Qwen2.5-72B-Instruct")),
    # "Context length: 16K tokens"
    ("phi3", 16_384, 40): CardContext(16_384, None, None, _hub("microsoft/phi-4")),
}


def card_context(model_type: str, context_length: int | None, num_layers: int | None) -> CardContext | None:
    """What the model card says of a model with this key, or None."""
    return _CARDS.get((model_type, context_length or 0, num_layers or 0))
