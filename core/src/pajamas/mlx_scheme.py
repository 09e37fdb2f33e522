"""What an MLX folder without a receipt is called: by the quantization block of its config.json.

A scheme's name stands for its recipe, and some are held to the limits of a profile: a folder has such a name only if it
is exactly that recipe.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from attrs import frozen

from pajamas.safetensors_header import SafetensorsEntry

_GROUP, _GROUP_OF_8 = 64, 128
_VOCABULARY = ("embed_tokens", "lm_head")
_VOCABULARY_BITS = 6
"""Of the scheme 4bit."""
_RAISED_BITS = 5.0
"""Bits per weight up to which it raises layers."""


@frozen
class _How:
    """How a layer is quantized, as `mlx.core.quantize` takes it."""

    bits: Any
    group: Any
    mode: Any

    @classmethod
    def of(cls, block: Mapping[str, Any], default: Mapping[str, Any]) -> _How:
        bits, group = (block.get(key, default.get(key)) for key in ("bits", "group_size"))
        return cls(bits, group, block.get("mode", "affine"))


def scheme_of(block: Mapping[str, Any], entries: Collection[SafetensorsEntry]) -> str | None:
    """A name for a folder; None if the block does not say how it is quantized.

    "4bit" and "8bit" are the recipes of the profiles balanced and hq. Others are "4bit uniform", "8bit g64", "mxfp4",
    or "4.7 bits mixed".

    Args:
        block: config.json's `quantization`: bits, group_size and mode for all layers, and by path for single ones.
        entries: all tensors; empty if they are not known.
    """
    body = _How.of(block, {})
    if type(body.bits) is not int or not 0 < body.bits <= 8:
        return None
    single = {path: _How.of(how, block) for path, how in block.items() if isinstance(how, Mapping)}
    kept = any(how is False for how in block.values())  # in 16 bits
    measured = _bits_per_weight(body, single, entries)
    if not kept and body == _How(4, _GROUP, "affine") and _is_balanced(single, entries, measured):
        return "4bit"
    # A layer whose width the group does not divide has a smaller one.
    alike = all(
        how.bits == body.bits and how.mode == body.mode and _at_most(how.group, body.group) for how in single.values()
    )
    if kept or not alike or type(body.group) is not int:
        return "mixed" if measured is None else f"{measured:.1f} bits mixed"
    if body.mode != "affine":
        return str(body.mode)[:20]
    if body.group != (_GROUP_OF_8 if body.bits == 8 else _GROUP):
        return f"{body.bits}bit g{body.group}"
    return "4bit uniform" if body.bits == 4 else f"{body.bits}bit"


def _is_balanced(
    single: Mapping[str, _How], entries: Collection[SafetensorsEntry], bits_per_weight: float | None
) -> bool:
    """Whether the vocabulary's layers have six bits, and no more layers are raised than the recipe has room for."""
    layers = {entry.name.removesuffix(".scales") for entry in entries if entry.name.endswith(".scales")} or set(single)
    least = {path: _VOCABULARY_BITS for path in layers if path.endswith(_VOCABULARY)}
    if not least or not least.keys() <= single.keys():
        return False
    for path, how in single.items():
        if how.mode != "affine" or type(how.bits) is not int or not _at_most(how.group, _GROUP):
            return False
        if how.bits < least.get(path, 4):
            return False
    raised = any(how.bits > least.get(path, 4) for path, how in single.items())
    return not raised or (bits_per_weight is not None and bits_per_weight <= _RAISED_BITS)


def _at_most(group: Any, most: Any) -> bool:
    return type(group) is int and type(most) is int and group <= most


def _bits_per_weight(body: _How, single: Mapping[str, _How], entries: Collection[SafetensorsEntry]) -> float | None:
    names = {entry.name for entry in entries}
    weights = 0
    for entry in entries:
        layer, _, part = entry.name.rpartition(".")
        if f"{layer}.scales" not in names:
            weights += math.prod(entry.shape)
        elif part == "weight":
            bits = single.get(layer, body).bits
            if type(bits) is not int or not 0 < bits <= 8:
                return None
            weights += math.prod(entry.shape) * 32 // bits
    return 8 * sum(entry.size for entry in entries) / weights if weights else None
