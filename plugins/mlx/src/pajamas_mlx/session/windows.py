"""Sliding windows that a model's config asks for, and mlx-lm's model knows nothing of."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from pajamas_mlx import engine

_UNIFORM = {"mistral": 4096, "mixtral": None, "phi3": None, "phimoe": None, "starcoder2": None}
"""Kinds whose layers all look back on one window, and what transformers takes where the config does not say."""
_SWITCHED = ("qwen2", "qwen3", "qwen2_moe", "qwen3_moe")
"""Kinds with windows only where `use_sliding_window` is true."""


@frozen
class Window:
    """Tokens that layers look back on, the token itself included."""

    size: int
    everywhere: bool
    """Every layer has it: then a cache that forgets does what mlx-lm's model does not."""


def window_of(config: Mapping[str, Any]) -> Window | None:
    """The window that transformers reads from the config and mlx-lm ignores; None where there is none such."""
    kind = str(config.get("model_type"))
    size = config.get("sliding_window", _UNIFORM.get(kind, 4096 if kind in _SWITCHED else None))
    if type(size) is not int or size < 1 or (kind in _SWITCHED and config.get("use_sliding_window") is not True):
        return None
    if kind not in _UNIFORM and kind not in _SWITCHED:
        return None if _knows_windows(kind) else Window(size, everywhere=False)
    if kind == "mistral" and "full_attention" in (config.get("layer_types") or ()):
        return None  # it is one of mlx-lm's llama models, which does as the list says
    types = set(_layer_types(kind, config))
    return Window(size, everywhere=len(types) == 1) if "sliding_attention" in types else None


def _layer_types(kind: str, config: Mapping[str, Any]) -> list[str]:
    """ "sliding_attention" or "full_attention" for each layer, as transformers' configuration class fills them in."""
    given = config.get("layer_types")
    if isinstance(given, list) and given and kind in _SWITCHED:
        return [str(one) for one in given]
    count = config.get("num_hidden_layers")
    if kind not in ("qwen2", "qwen3", "qwen2_moe") or type(count) is not int:
        return ["sliding_attention"]
    first = config.get("max_window_layers", 28)
    if kind == "qwen2_moe":
        slides = [number % 2 == 0 and number < first for number in range(count)]
    else:
        slides = [number >= first for number in range(count)]
    return ["sliding_attention" if one else "full_attention" for one in slides]


def _knows_windows(kind: str) -> bool:
    """Whether mlx-lm's model of this kind reads anything about windows."""
    module = engine.engine().models.MODEL_REMAPPING.get(kind, kind)
    arguments = importlib.import_module(f"mlx_lm.models.{module}").ModelArgs
    names = [one.name for one in dataclasses.fields(arguments)]
    return "text_config" in names or any("window" in name or "layer_types" in name for name in names)
