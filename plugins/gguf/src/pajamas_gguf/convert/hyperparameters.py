"""config.json as transformers would read it: old and new spellings made one, left-out values filled in.

llama.cpp's converter reads the config through transformers 5, whose config classes complete it, so a file that states
little must give the same metadata as one that states all. Source of the defaults and of the rope rules:
transformers 5 `models/*/configuration_*.py` and `modeling_rope_utils.RotaryEmbeddingConfigMixin`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pajamas.errors import ModelFileError, UnsupportedModel
from pajamas_gguf.convert.fallback import OTHER_CONVERTER

# Far above any real model. A hostile config must not make lists of billions of names or rows of gigabytes.
_LARGEST = {"num_hidden_layers": 1000, "num_experts": 10_000, "num_local_experts": 10_000, "vocab_size": 1 << 24,
    "head_dim": 1 << 16, "hidden_size": 1 << 20, "intermediate_size": 1 << 24}  # fmt: skip
_UINT32 = (1 << 32) - 1  # GGUF keeps these numbers so
_FLOAT32 = 3.4e38
_STATED_IN_ROPE = ("llama3", "yarn", "longrope")


class Hyperparameters:
    """A completed config. Values are checked when they are asked for, so that an error names the key.

    Attributes:
        values: config.json with `defaults` under it.
        rope: rope parameters in transformers 5's form: always `rope_type` and `rope_theta`.
    """

    def __init__(self, config: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
        self.values: dict[str, Any] = {**defaults, **config}
        if self.values.get("num_key_value_heads", 0) is None:
            self.values["num_key_value_heads"] = self.values.get("num_attention_heads")
        self.rope = self._complete_rope()

    def integer(self, key: str) -> int:
        """A positive whole number that GGUF can hold.

        Raises:
            ModelFileError: it is missing or anything else.
        """
        return _integer(self.values, key)

    def optional_integer(self, key: str) -> int | None:
        return None if self.values.get(key) is None else self.integer(key)

    def number(self, key: str) -> float:
        return _number(self.values, key)

    def flag(self, key: str) -> bool:
        value = self.values.get(key, False)
        if value is not None and not isinstance(value, bool):
            raise _wrong(key, value, "true or false")
        return bool(value)

    def rope_number(self, key: str, default: float | None = None) -> float:
        """A finite number of the rope parameters."""
        return _number(self.rope, key, default)

    def rope_integer(self, key: str) -> int:
        """A positive whole number of the rope parameters."""
        return _integer(self.rope, key)

    def rope_numbers(self, key: str) -> list[float] | None:
        """A list of finite numbers of the rope parameters; None if it is not there or empty."""
        value = self.rope.get(key)
        if value is not None and not isinstance(value, list):
            raise _wrong(key, value, "a list of numbers")
        return [_number({key: item}, key) for item in value] if value else None

    @property
    def rope_type(self) -> str:
        value = self.rope["rope_type"]
        if not isinstance(value, str):
            raise _wrong("rope_type", value, "a name")
        return value.lower()

    @property
    def head_dim(self) -> int:
        """Size of one attention head: as stated, else the hidden size shared among the heads."""
        return self.optional_integer("head_dim") or self.integer("hidden_size") // self.integer("num_attention_heads")

    def _complete_rope(self) -> dict[str, Any]:
        stated = self.values.get("rope_scaling") or self.values.get("rope_parameters") or {}
        if not isinstance(stated, dict):
            raise _wrong("rope_scaling", stated, "an object")
        if "sliding_attention" in stated:
            raise UnsupportedModel(
                "Its layers have different rope parameters.",
                "pajamas' converter writes one set for all layers.",
                OTHER_CONVERTER,
            )
        full = stated.get("full_attention")
        rope: dict[str, Any] = dict(full if isinstance(full, dict) else stated)
        theta = self.values.get("rope_theta")
        rope.setdefault("rope_theta", 10000.0 if theta is None else theta)
        rope.setdefault("rope_type", rope.get("type", "default"))
        if self.values.get("partial_rotary_factor") is not None:
            rope.setdefault("partial_rotary_factor", self.values["partial_rotary_factor"])
        if rope["rope_type"] in _STATED_IN_ROPE:
            rope.setdefault("original_max_position_embeddings", self.values.get("max_position_embeddings"))
        return rope


def _integer(values: Mapping[str, Any], key: str) -> int:
    value = values.get(key)
    if type(value) is not int or not 0 < value <= _LARGEST.get(key, _UINT32):
        raise _wrong(key, value, "a positive whole number of sensible size")
    return value


def _number(values: Mapping[str, Any], key: str, default: float | None = None) -> float:
    value = values.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _FLOAT32:
        raise _wrong(key, value, "a finite number")
    return value


def _wrong(key: str, value: Any, wanted: str) -> ModelFileError:
    what = f"config.json states no {key}." if value is None else f"config.json states {key} as {value!r}"[:200] + "."
    return ModelFileError(what, f"It should be {wanted}.", "Download the model again, or correct it.")
