"""A model's config.json as mlx-lm's models read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def missing_keys(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a config of transformers 5 and later says in other words than most of mlx-lm's models read; may be empty.

    Such a config holds `rope_theta` and the rope scaling inside `rope_parameters`, and `num_local_experts`. A model
    of mlx-lm that looks only at the old keys takes its default in their place, silently: a wrong rope theta.
    """
    found: dict[str, Any] = {}
    rope = config.get("rope_parameters")
    if isinstance(rope, Mapping) and not any(isinstance(value, Mapping) for value in rope.values()):
        for key in ("rope_theta", "partial_rotary_factor"):
            if config.get(key) is None and rope.get(key) is not None:
                found[key] = rope[key]
        if config.get("rope_scaling") is None and rope.get("rope_type", "default") != "default":
            found["rope_scaling"] = {"type": rope["rope_type"], **rope}
    if (
        config.get("num_experts") is None
        and config.get("model_type") == "qwen3_moe"
        and config.get("num_local_experts")
    ):
        found["num_experts"] = config["num_local_experts"]
    return found
