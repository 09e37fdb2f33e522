"""Reading an MLX folder without the engine: which tensors it holds, and how they are quantized.

Layout as mlx-lm writes it: a quantized layer is `<layer>.weight` (packed into u32), `<layer>.scales` and, in the affine
mode, `<layer>.biases`; config.json's `quantization` says how, once for all and for single layers by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pajamas.errors import ModelFileError
from pajamas.modelfiles import ModelFiles, read_json
from pajamas.safetensors_header import SafetensorsEntry, read_tensors
from pajamas.types import TensorInfo

_PARTS = ("weight", "scales", "biases")
_DTYPES = {
    "BF16": "bfloat16", "F16": "float16", "F32": "float32", "F64": "float64", "U32": "uint32", "U16": "uint16",
    "U8": "uint8", "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64", "U64": "uint64", "BOOL": "bool",
}  # fmt: skip


def tensors_of(files: ModelFiles) -> tuple[TensorInfo, ...]:
    """Every tensor, sorted by name; a quantized layer's parts are one, with the shape that it had before.

    Raises:
        ModelFileError: a header is damaged, or config.json does not say how a layer is quantized.
    """
    settings = (read_json(files, "config.json") or {}).get("quantization") or {}
    entries = read_tensors(files)
    found: dict[str, TensorInfo] = {}
    for name, entry in entries.items():
        layer, _, part = name.rpartition(".")
        if part in _PARTS and f"{layer}.scales" in entries:
            if part == "weight":
                parts = [entries[f"{layer}.{part}"].size for part in _PARTS if f"{layer}.{part}" in entries]
                found[name] = _quantized(entry, settings.get(layer, settings), sum(parts), files.origin)
        else:
            kind = _DTYPES.get(entry.dtype, entry.dtype)
            found[name] = TensorInfo(name=name, shape=entry.shape, type=kind, size=entry.size)
    return tuple(found[name] for name in sorted(found))


def _quantized(entry: SafetensorsEntry, how: Any, size: int, origin: str) -> TensorInfo:
    bits = how.get("bits") if isinstance(how, Mapping) else None
    if type(bits) is not int or not 0 < bits <= 8 or not entry.shape:
        raise ModelFileError(f"config.json of {origin} does not say how {entry.name} is quantized.", "", "")
    *rows, packed = entry.shape
    mode = how.get("mode", "affine")
    kind = f"{bits}bit g{how.get('group_size')}" if mode == "affine" else str(mode)
    return TensorInfo(name=entry.name, shape=(*rows, packed * 32 // bits), type=kind, size=size)
