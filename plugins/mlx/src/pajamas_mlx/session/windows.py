"""Sliding windows that a model's config asks for, and mlx-lm's model knows nothing of."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from typing import Any

from pajamas.errors import UnsupportedModel
from pajamas_mlx import engine

_UNIFORM = {"mistral": 4096, "mixtral": None, "phi3": None, "phimoe": None, "starcoder2": None}
"""Kinds whose layers all look back on one window, and what transformers takes where the config does not say."""
_SWITCHED = ("qwen2", "qwen3", "qwen2_moe", "qwen3_moe")
"""Kinds with windows only where `use_sliding_window` is true."""


def window_of(config: Mapping[str, Any]) -> int | None:
    """Tokens that every layer looks back on, itself included, as transformers reads the config; None if all of them.

    That is for a cache to do: mlx-lm's model does not, or does it itself.

    Raises:
        MixedWindows: some layers have a window and others have none, and mlx-lm's model has one mask for all.
    """
    kind = str(config.get("model_type"))
    window = config.get("sliding_window", _UNIFORM.get(kind, 4096 if kind in _SWITCHED else None))
    if type(window) is not int or window < 1 or (kind in _SWITCHED and config.get("use_sliding_window") is not True):
        return None
    if kind not in _UNIFORM and kind not in _SWITCHED:
        if not _knows_windows(kind):
            raise MixedWindows(window)
        return None
    if kind == "mistral" and "full_attention" in (config.get("layer_types") or ()):
        return None  # it is one of mlx-lm's llama models, which does as the list says
    types = set(_layer_types(kind, config))
    if len(types) > 1:
        raise MixedWindows(window)
    return window if "sliding_attention" in types else None


class MixedWindows(UnsupportedModel):
    """mlx-lm would show each token the whole context."""

    def __init__(self, window: int) -> None:
        super().__init__(
            f"MLX cannot run this model with a context of more than {window:,} tokens.",
            "Its layers look back on a window of that many, or some of them do, and mlx-lm's code for it ignores that.",
            f"Ask for a context_length of {window}, or convert the model for another backend: --formats gguf.",
        )
        self.window = window


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
