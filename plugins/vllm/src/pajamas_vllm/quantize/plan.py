"""What a quantized model will be, from the source's headers alone: which layers, which tensors, how many bytes.

Layout: compressed-tensors' `pack-quantized` (weight_packed I32 [rows, columns / 8], weight_scale [rows, columns / group
size], weight_shape I64 [2]), `int-quantized` and `float-quantized` (weight [rows, columns], weight_scale [rows, 1]).
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from attrs import frozen

from pajamas.errors import UnsupportedModel
from pajamas.operations.fitting import kv_cache
from pajamas.safetensors_header import DTYPE_BITS, SafetensorsEntry
from pajamas.types import Architecture, TensorInfo
from pajamas_vllm.quantize.schemes import Scheme

SHARD = 20_000_000_000
"""Bytes up to which one file holds all weights: llm-compressor's own choice."""

_LAYER = re.compile(r"(?:^|\.)layers\.\d+\.(?:.+\.)?(?P<part>[^.]+)\.weight$")
_NO_PRODUCT = ("norm", "embed", "router", "conv")
"""In the names of modules that are no layer of numbers to multiply with, though their weights may have two axes."""
_TORCH = {"BF16": "bfloat16", "F16": "float16"}
# safetensors writes the largest dtypes first (its Dtype's order), then by name.
_ORDER = ("I64", "F32", "I32", "BF16", "F16", "F8_E4M3", "I8")


@frozen(kw_only=True)
class Stored:
    """One tensor as it will stand in the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        return math.prod(self.shape) * DTYPE_BITS[self.dtype] // 8


@frozen(kw_only=True)
class Plan:
    layers: tuple[str, ...]
    """Modules that are quantized."""
    ignored: tuple[str, ...]
    """Modules with a weight of two axes that are not."""
    dtype: str
    """torch's name of the type of all other tensors."""
    group_size: int | None
    stored: tuple[Stored, ...]
    tensors: tuple[TensorInfo, ...]
    notes: tuple[str, ...]

    @property
    def parameters(self) -> int:
        return sum(math.prod(tensor.shape) for tensor in self.tensors)

    @property
    def size(self) -> int:
        """Bytes of all weight files; above `SHARD` but for some kilobytes of further headers."""
        return sum(tensor.size for tensor in self.stored) + header_size(self.stored)


def make_plan(
    tensors: Mapping[str, SafetensorsEntry], scheme: Scheme, group_size: int | None, *, tied: bool, origin: str
) -> Plan:
    """Decide for each tensor.

    Raises:
        UnsupportedModel: no layer can be quantized.
    """
    kept = {name: tensor for name, tensor in tensors.items() if not (tied and name.startswith("lm_head."))}
    counts: Counter[str] = Counter()
    for tensor in kept.values():
        counts[tensor.dtype] += math.prod(tensor.shape)
    most = counts.most_common(1)[0][0]
    dtype = most if most in _TORCH else "BF16"
    notes = [] if most == dtype else ["What is not quantized is bfloat16; in the source it is float32."]
    layers, ignored, unfit = [], [], []
    stored: list[Stored] = []
    infos: list[TensorInfo] = []
    for name, tensor in sorted(kept.items()):
        shape, module = tensor.shape, name.removesuffix(".weight")
        found = _LAYER.search(name) if len(shape) == 2 else None
        linear = found is not None and not any(word in found["part"] for word in _NO_PRODUCT)
        wanted = None
        if linear and group_size is not None and shape[1] % group_size:
            unfit.append(module)
            linear, wanted = False, scheme.type
        if linear:
            layers.append(module)
            parts = tuple(_parts(module, shape, scheme, group_size, dtype))
            kind = f"{scheme.type} g{group_size}" if group_size else scheme.type
        else:
            if len(shape) == 2 and name.endswith(".weight"):
                ignored.append(module)
            parts = (Stored(name=name, dtype=dtype, shape=shape),)
            kind = _TORCH[dtype]
        stored += parts
        size = sum(part.size for part in parts)
        infos.append(TensorInfo(name=name, shape=shape, type=kind, size=size, wanted=wanted))
    if not layers:
        why = "None of its weights is a layer of a decoder that transformers calls `layers`."
        if unfit:
            why = f"The widths of its layers are no multiples of the group size {group_size}."
        raise UnsupportedModel(f"{origin} cannot be made {scheme.name}.", why, "Use another scheme or --formats gguf.")
    if unfit:
        notes.append(
            f"{len(unfit)} layers cannot be {scheme.type} (their widths are no multiples of {group_size}) and stay "
            f"{_TORCH[dtype]}: {', '.join(unfit[:3])}{' and more' if len(unfit) > 3 else ''}."
        )
    return Plan(
        layers=tuple(layers),
        ignored=tuple(ignored),
        dtype=_TORCH[dtype],
        group_size=group_size,
        stored=tuple(stored),
        tensors=tuple(infos),
        notes=tuple(notes),
    )


def memory(plan: Plan, architecture: Architecture, contexts: Sequence[int]) -> dict[int, int]:
    """Context to bytes of the weights and of keys and values in 16 bits. vLLM takes more if it is let."""
    return {context: plan.size + kv_cache(architecture, context, "f16") for context in contexts}


def header_size(stored: Sequence[Stored]) -> int:
    """Bytes of a safetensors file before its data, as the library writes it."""
    end = 0
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    for tensor in sorted(stored, key=lambda tensor: (_ORDER.index(tensor.dtype), tensor.name)):
        place = [end, end + tensor.size]
        header[tensor.name] = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": place}
        end += tensor.size
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    return 8 + -(-len(text) // 8) * 8


def _parts(module: str, shape: tuple[int, ...], scheme: Scheme, group_size: int | None, dtype: str) -> Iterator[Stored]:
    rows, columns = shape
    if scheme.dtype == "I32":
        yield Stored(name=f"{module}.weight_packed", dtype="I32", shape=(rows, -(-columns * scheme.bits // 32)))
        yield Stored(name=f"{module}.weight_shape", dtype="I64", shape=(2,))
    else:
        yield Stored(name=f"{module}.weight", dtype=scheme.dtype, shape=shape)
    yield Stored(name=f"{module}.weight_scale", dtype=dtype, shape=(rows, columns // group_size if group_size else 1))
