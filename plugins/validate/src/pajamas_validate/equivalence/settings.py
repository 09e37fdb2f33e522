"""What headers state that decides a computation: sizes, rope, norms; of GGUF and of config.json in the same words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from pajamas.gguf_header import read_split
from pajamas.modelfiles import LocalFiles, read_json

Value = float | int | str

_ROPE_DEFAULT = 10000.0
"""What llama.cpp takes where the header names none."""

_SAME = 1e-5
"""Relative: a GGUF header keeps 32-bit floats of what a config.json writes in decimals."""

_GGUF = {
    "layers": ("block_count",),
    "hidden size": ("embedding_length",),
    "feed-forward size": ("feed_forward_length",),
    "query heads": ("attention.head_count",),
    "key/value heads": ("attention.head_count_kv",),
    "experts": ("expert_count",),
    "experts per token": ("expert_used_count",),
    "norm epsilon": ("attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon"),
    "rope theta": ("rope.freq_base",),
    "rope scaling": ("rope.scaling.type",),
    "rope scaling factor": ("rope.scaling.factor",),
}
_CONFIG = {
    "layers": ("num_hidden_layers",),
    "hidden size": ("hidden_size",),
    "feed-forward size": ("intermediate_size",),
    "query heads": ("num_attention_heads",),
    "key/value heads": ("num_key_value_heads",),
    "experts": ("num_local_experts", "num_experts", "n_routed_experts"),
    "experts per token": ("num_experts_per_tok",),
    "norm epsilon": ("rms_norm_eps", "layer_norm_eps", "norm_epsilon"),
    "rope theta": ("rope_theta",),
    "rope scaling": ("rope_type", "type"),
    "rope scaling factor": ("factor",),
}
_NO_SCALING = ("default", "none")


@frozen(kw_only=True)
class SettingDifference:
    name: str
    first: str
    """The label of the first model."""
    second: str
    first_value: Value
    second_value: Value

    @property
    def sentence(self) -> str:
        verb = "are" if any(word.endswith("s") for word in self.name.split()) else "is"
        return (
            f"The {self.name} {verb} {self.first_value:g} in {self.first} and {self.second_value:g} in {self.second}."
            if (isinstance(self.first_value, float | int) and isinstance(self.second_value, float | int))
            else f"The {self.name} {verb} {self.first_value} in {self.first} and {self.second_value} in {self.second}."
        )


def settings_of(path: Path) -> dict[str, Value]:
    """Those that the headers state, by the names of `_GGUF`; empty for files that core cannot read.

    Raises:
        ModelFileError: a header is damaged.
    """
    files = LocalFiles(path)
    if path.suffix == ".gguf":
        return _of_gguf(read_split(files, path.name).metadata)
    config = read_json(files, "config.json") if path.is_dir() else None
    return _of_config(config) if config is not None else {}


def differences(
    first: str, left: Mapping[str, Value], second: str, right: Mapping[str, Value]
) -> list[SettingDifference]:
    """Settings that both state, and state differently."""
    return [
        SettingDifference(name=name, first=first, second=second, first_value=left[name], second_value=right[name])
        for name in _GGUF
        if name in left and name in right and not _equal(left[name], right[name])
    ]


def _of_gguf(metadata: Mapping[str, Any]) -> dict[str, Value]:
    kind = metadata.get("general.architecture")
    found = _chosen({name: [metadata.get(f"{kind}.{key}") for key in keys] for name, keys in _GGUF.items()})
    if any(key.startswith(f"{kind}.rope.") or key == f"{kind}.context_length" for key in metadata):
        found.setdefault("rope theta", _ROPE_DEFAULT)
    return found


def _of_config(config: Mapping[str, Any]) -> dict[str, Value]:
    config = config.get("text_config") or config
    rope: dict[str, Any] = {}
    for name in ("rope_scaling", "rope_parameters"):
        if isinstance(config.get(name), Mapping):
            rope |= {key: value for key, value in config[name].items() if not isinstance(value, Mapping)}
    values = {**config, **rope}
    # A factor and a type of the configuration itself mean something else.
    for key in ("type", "factor"):
        if key not in rope:
            values.pop(key, None)
    return _chosen({name: [values.get(key) for key in keys] for name, keys in _CONFIG.items()})


def _chosen(values: Mapping[str, list[Any]]) -> dict[str, Value]:
    found = {}
    for name, candidates in values.items():
        value = next((value for value in candidates if _is_plain(value)), None)
        if value is not None and not (name == "rope scaling" and value in _NO_SCALING):
            found[name] = value
    return found


def _is_plain(value: object) -> bool:
    return isinstance(value, int | float | str) and not isinstance(value, bool)


def _equal(left: Value, right: Value) -> bool:
    if isinstance(left, str) or isinstance(right, str):
        return left == right
    return math.isclose(left, right, rel_tol=_SAME)
