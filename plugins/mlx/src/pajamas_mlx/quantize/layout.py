"""The files of an MLX folder, planned to the byte and written one layer at a time.

mlx-lm's own `save` evaluates a whole shard of up to 5 GB before it writes it; this never holds more than one layer.
Format: https://github.com/huggingface/safetensors#format; names, index and shards as `mlx_lm.utils.save_model` has
them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from attrs import frozen

LARGEST = 5 << 30
"""Bytes of a weight file, mlx-lm's own limit; an array that is larger has a file of its own."""
INDEX = "model.safetensors.index.json"
_DTYPES = {
    "bfloat16": "BF16", "float16": "F16", "float32": "F32", "float64": "F64", "uint32": "U32", "uint8": "U8",
    "int8": "I8", "int16": "I16", "uint16": "U16", "int32": "I32", "int64": "I64", "uint64": "U64", "bool": "BOOL",
}  # fmt: skip


@frozen
class Shard:
    name: str
    arrays: dict[str, Any]
    """Lazy, in the order of the file. Emptied while it is written."""
    head: bytes
    """The eight bytes of its length, and the header."""
    size: int


def plan(model: Any) -> list[Shard]:
    """The weight files of a model, quantized or not."""
    from mlx.utils import tree_flatten

    arrays = dict(tree_flatten(model.parameters()))
    shards = []
    for name, members in split({key: array.nbytes for key, array in arrays.items()}).items():
        entries = [(key, dtype_of(arrays[key]), tuple(arrays[key].shape), arrays[key].nbytes) for key in members]
        head = head_of(entries)
        size = len(head) + sum(nbytes for *_, nbytes in entries)
        shards.append(Shard(name, {key: arrays[key] for key in members}, head, size))
    return shards


def dtype_of(array: Any) -> str:
    """mlx.core's name of its type."""
    return str(array.dtype).rpartition(".")[2]


def split(sizes: Mapping[str, int]) -> dict[str, list[str]]:
    """The weight files' names, each with the arrays that it holds, as `mlx_lm.utils.make_shards` divides them."""
    parts: list[list[str]] = []
    size = 0
    for key, nbytes in sizes.items():
        if not parts or size + nbytes > LARGEST:
            parts.append([])
            size = 0
        parts[-1].append(key)
        size += nbytes
    if len(parts) == 1:
        return {"model.safetensors": parts[0]}
    return {f"model-{number:05d}-of-{len(parts):05d}.safetensors": part for number, part in enumerate(parts, 1)}


def head_of(entries: Iterable[tuple[str, str, tuple[int, ...], int]]) -> bytes:
    """A file's beginning, up to its data: each array's name, mlx.core's name of its type, its shape and its bytes."""
    header: dict[str, Any] = {"__metadata__": {"format": "mlx"}}
    end = 0
    for key, dtype, shape, nbytes in entries:
        header[key] = {"dtype": _DTYPES[dtype], "shape": list(shape), "data_offsets": [end, end + nbytes]}
        end += nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def write_weights(folder: Path, shards: list[Shard], parameters: int, done: Callable[[int, str], None]) -> None:
    """Write all shards and their index; `done` hears of so many bytes more, and of which layer.

    The caller must hold no other reference to the arrays: what is written is dropped.
    """
    import mlx.core as mx

    index: dict[str, str] = {}
    total = 0
    for shard in shards:
        names = list(shard.arrays)
        index |= dict.fromkeys(names, shard.name)
        with (folder / shard.name).open("wb") as stream:
            stream.write(shard.head)
            # A layer's weight, scales and biases come from one computation.
            for layer, group in groupby(names, key=lambda name: name.rpartition(".")[0]):
                arrays = {name: shard.arrays.pop(name) for name in group}
                mx.eval(list(arrays.values()))
                for array in arrays.values():
                    data: Any = mx.contiguous(array.reshape(-1)).view(mx.uint8)
                    stream.write(memoryview(data))
                    total += array.nbytes
                    done(array.nbytes, layer)
    content = {
        "metadata": {"total_size": total, "total_parameters": parameters},
        "weight_map": dict(sorted(index.items())),
    }
    (folder / INDEX).write_text(json.dumps(content, indent=4), encoding="utf-8")
