"""A model's config.json as mlx-lm's models read it."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from typing import Any

from pajamas_mlx import engine


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


def default_keys(config: Mapping[str, Any]) -> dict[str, Any]:
    """What mlx-lm's model must be told, and a config may leave to transformers' class; mostly empty."""
    kind = config.get("model_type")
    module = engine.engine().models.MODEL_REMAPPING.get(kind, kind)
    try:
        fields = dataclasses.fields(importlib.import_module(f"mlx_lm.models.{module}").ModelArgs)
    except (ImportError, AttributeError, TypeError):  # no model: loading it says so
        return {}
    nothing = dataclasses.MISSING
    lacking = [
        one.name
        for one in fields
        if one.name not in config and one.default is nothing and one.default_factory is nothing
    ]
    if not lacking:
        return {}
    try:
        given = {name: value for name, value in config.items() if name != "model_type"}
        full = importlib.import_module("transformers").AutoConfig.for_model(kind, **given)
    except Exception:  # whatever a class of transformers makes of a strange config: loading it says what it lacks
        return {}
    return {name: getattr(full, name) for name in lacking if getattr(full, name, None) is not None}
