"""Which rows of which source tensors make up each tensor of the GGUF file, decided from headers alone."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import gguf
import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from pajamas.errors import ModelFileError, UnsupportedModel
from pajamas.safetensors_header import SafetensorsEntry
from pajamas.types import TensorInfo
from pajamas_gguf.convert.fallback import OTHER_CONVERTER
from pajamas_gguf.convert.families.base import Family

ITEM_SIZES = {"F32": 4, "F16": 2, "BF16": 2}
SOURCE_TYPES = ("BF16", "F16", "F32", "F64")

# What old checkpoints carry beside their weights; llama.cpp's converter leaves out the same.
_IGNORED = (".attention.masked_bias", ".attention.bias", ".rotary_emb.inv_freq")
_EXPERT = re.compile(r"(model\.layers\.\d+\.mlp\.experts\.)(\d+)\.(down|gate|up)_proj\.weight")
_FUSED_DOWN = re.compile(r"(model\.layers\.\d+\.mlp\.experts\.)down_proj(\.weight)?")
_FUSED_GATE_UP = re.compile(r"(model\.layers\.\d+\.mlp\.experts\.)gate_up_proj(\.weight)?")


@frozen
class Slice:
    """`rows` rows from `first` of a source tensor, seen as a matrix [everything else, last dimension].

    With `head_rows`, each group of that many rows is one attention head, whose halves are to be interleaved.
    """

    entry: SafetensorsEntry
    first: int
    rows: int
    head_rows: int = 0

    @property
    def row_bytes(self) -> int:
        return self.entry.size // math.prod(self.entry.shape[:-1] or self.entry.shape)


@frozen
class PlannedTensor:
    """One tensor of the file: made of slices in order, or of `values` (float32) that were computed."""

    name: str
    shape: tuple[int, ...]
    type: str
    slices: tuple[Slice, ...] = ()
    values: NDArray[np.float32] | None = field(default=None, eq=False)

    @property
    def size(self) -> int:
        return math.prod(self.shape) * ITEM_SIZES[self.type]

    @property
    def info(self) -> TensorInfo:
        return TensorInfo(name=self.name, shape=self.shape, type=self.type, size=self.size)


def weights(tensors: Mapping[str, SafetensorsEntry]) -> list[SafetensorsEntry]:
    """The tensors that matter, in llama.cpp's order: by shard, then by name."""
    kept = (entry for entry in tensors.values() if not entry.name.endswith(_IGNORED))
    return sorted(kept, key=lambda entry: (entry.file, entry.name))


def half_type(entries: list[SafetensorsEntry]) -> str:
    """The source's own 16-bit type, as llama.cpp decides: its first 16-bit matrix's; F16 where there is none."""
    return next((e.dtype for e in entries if len(e.shape) > 1 and e.dtype in ("BF16", "F16")), "F16")


def source_type(entries: list[SafetensorsEntry]) -> str:
    """The type that most of the source's weights have."""
    counts: Counter[str] = Counter()
    for entry in entries:
        counts[entry.dtype] += math.prod(entry.shape)
    return counts.most_common(1)[0][0]


def plan(family: Family, entries: list[SafetensorsEntry], file_type: str) -> list[PlannedTensor]:
    """The tensors to write, in llama.cpp's order: computed ones first.

    Args:
        entries: in the order of `weights`.
        file_type: "F32", "F16" or "BF16", for the matrices.

    Raises:
        ModelFileError: a tensor is missing, there twice, or of another shape than the config says.
        UnsupportedModel: a tensor is not understood.
    """
    planned: dict[str, PlannedTensor] = {
        name: PlannedTensor(name, values.shape, "F32", values=values) for name, values in family.computed_tensors()
    }
    required, optional = family.required_tensors(), family.optional_tensors()
    for name, shape, slices in _merged(family, entries):
        if name in planned:
            raise _contradiction(f"Two tensors of it mean {name}.", f"One is {slices[0].entry.name}.")
        wanted = required.get(name) or optional.get(name)
        if wanted is None:
            raise _not_understood(family, slices[0].entry.name)
        if wanted != shape:
            raise _contradiction(
                f"{slices[0].entry.name} makes {name} of shape {list(shape)}.", f"config.json asks for {list(wanted)}."
            )
        planned[name] = PlannedTensor(name, shape, _type(name, shape, file_type), slices)
    missing = [name for name in required if name not in planned]
    if missing:
        raise _contradiction(
            f"{len(missing)} of its tensors are missing.", f"Nothing becomes {', '.join(missing[:4])}."
        )
    return list(planned.values())


def _merged(
    family: Family, entries: list[SafetensorsEntry]
) -> Iterator[tuple[str, tuple[int, ...], tuple[Slice, ...]]]:
    """GGUF names with shapes and sources. A layer's experts come where the last of them stands."""
    names = gguf.get_tensor_name_map(family.arch, family.layers)
    experts: dict[str, dict[tuple[str, int], SafetensorsEntry]] = {}
    count = family.experts
    for entry in entries:
        name = family.prefix + entry.name
        if entry.dtype not in SOURCE_TYPES or not math.prod(entry.shape) or not entry.shape:
            raise _not_understood(family, entry.name, f"It is {entry.dtype} of shape {list(entry.shape)}.")
        if count and (match := _EXPERT.fullmatch(name)):
            layer = experts.setdefault(match[1], {})
            layer[match[3], int(match[2])] = entry
            if len(layer) == 3 * count:
                for kind in ("down", "gate", "up"):
                    parts = [_expert(layer, kind, number, entry) for number in range(count)]
                    slices = tuple(_whole(part) for part in parts)
                    yield _mapped(names, family, f"{match[1]}{kind}_proj.weight"), (count, *parts[0].shape), slices
                del experts[match[1]]
        elif count and (match := _FUSED_DOWN.fullmatch(name)):
            yield _mapped(names, family, f"{match[1]}down_proj.weight"), entry.shape, (_whole(entry),)
        elif count and (match := _FUSED_GATE_UP.fullmatch(name)):
            if len(entry.shape) != 3 or entry.shape[0] != count or entry.shape[1] % 2:
                why = f"{count} experts with as many gate as up rows are needed."
                raise _contradiction(f"{entry.name} has shape {list(entry.shape)}.", why)
            half = entry.shape[1] // 2
            for kind, offset in (("gate", 0), ("up", half)):
                slices = tuple(Slice(entry, 2 * half * number + offset, half) for number in range(count))
                shape = (count, half, entry.shape[2])
                yield _mapped(names, family, f"{match[1]}{kind}_proj.weight"), shape, slices
        else:
            target = _mapped(names, family, name)
            yield target, entry.shape, (_whole(entry, family.head_rows(target)),)
    for prefix, layer in experts.items():
        raise _contradiction(f"Experts are missing under {prefix}.", f"{len(layer)} of {3 * count} matrices are there.")


def _mapped(names: Any, family: Family, name: str) -> str:
    mapped: str | None = names.get_name(name, try_suffixes=(".weight", ".bias"))
    if mapped is None:
        raise _not_understood(family, name)
    return mapped


def _expert(
    layer: Mapping[tuple[str, int], SafetensorsEntry], kind: str, number: int, last: SafetensorsEntry
) -> SafetensorsEntry:
    found = layer.get((kind, number))
    first = layer.get((kind, 0))
    if found is None or first is None or found.shape != first.shape:
        raise _contradiction(
            f"Expert {number} beside {last.name} is missing or of another shape.", f"It is its {kind}_proj."
        )
    return found


def _whole(entry: SafetensorsEntry, head_rows: int = 0) -> Slice:
    # A vector counts as a column, so that its heads can be interleaved like a matrix's.
    return Slice(entry, 0, math.prod(entry.shape[:-1] or entry.shape), head_rows)


def _type(name: str, shape: tuple[int, ...], file_type: str) -> str:
    """llama.cpp wants vectors, norms and routers in float32."""
    single = len(shape) == 1 or name.endswith(("_norm.weight", ".ffn_gate_inp.weight")) or not name.endswith(".weight")
    return "F32" if single else file_type


def _not_understood(family: Family, name: str, why: str = "") -> UnsupportedModel:
    return UnsupportedModel(
        f"The tensor {name!r} is not understood.",
        why or f"The converter for {family.name} has no place for it, and drops nothing.",
        OTHER_CONVERTER,
    )


def _contradiction(what: str, why: str) -> ModelFileError:
    return ModelFileError(what, why, "Download the model again.")
