"""What a dry run announces of a plain decoder, from headers alone: its layers are known without the engine."""

from __future__ import annotations

import importlib.metadata
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen

from pajamas.safetensors_header import SafetensorsEntry
from pajamas_mlx import engine
from pajamas_mlx.quantize import layout
from pajamas_mlx.quantize.choices import Choice, Choices, fitting
from pajamas_mlx.quantize.memory import computing
from pajamas_mlx.quantize.opening import choose_dtype
from pajamas_mlx.quantize.room import room_of, sizes_of
from pajamas_mlx.quantize.task import Result, Task

_FAMILIES = frozenset({"llama", "mistral", "qwen2", "qwen3"})
_ROPES = frozenset({"default", "llama3"})
_DTYPES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}
_NUMBERS = (
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
    "max_position_embeddings",
)  # fmt: skip
_STEP = 256
"""Tokens by which mlx-lm's key/value cache grows."""
_VOCABULARY = ("model.embed_tokens", "lm_head")


@frozen
class _Array:
    name: str
    dtype: str
    """mlx.core's name."""
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        return math.prod(self.shape) * {"uint32": 4, "uint8": 1, "float32": 4}.get(self.dtype, 2)


def announce(task: Task, config: Mapping[str, Any], tensors: Mapping[str, SafetensorsEntry]) -> Result | None:
    """What the child would answer; None for a model or a recipe that only mlx-lm knows."""
    shapes = _shapes(config)
    own = {name: tensor for name, tensor in tensors.items() if "rotary_emb.inv_freq" not in name}
    if config.get("tie_word_embeddings") is True:
        own.pop("lm_head.weight", None)
    same = shapes is not None and {name: tuple(tensor.shape) for name, tensor in own.items()} == shapes
    if shapes is None or not same or task.mixed is not None or engine.version() is None:
        return None
    if not {tensor.dtype for tensor in own.values()} <= _DTYPES.keys():
        return None
    dtype, notes = choose_dtype(Counter(_DTYPES[own[name].dtype] for name in shapes), config, task.dtype)
    if dtype != "bfloat16" and task.mode != "affine":
        return None  # what a layer answers is then of a third type, and so is the cache
    layers = {name.removesuffix(".weight"): shape for name, shape in shapes.items() if len(shape) == 2}
    wanted = {path: _wanted(task, path) for path in layers}
    choices = {path: choice and fitting(choice, layers[path][-1]) for path, choice in wanted.items()}
    arrays = [array for name, shape in shapes.items() for array in _arrays(name, shape, dtype, choices)]
    size = _size(arrays)
    parameters = sum(math.prod(shape) for shape in shapes.values())
    bound = None
    if task.target_bpw is not None:
        sizes = sizes_of({path: math.prod(shape) for path, shape in layers.items()}, choices, 2)
        room = room_of(sizes, size, parameters, task.target_bpw)
        bound = room.most + room.fixed if room.most > room.least else None
    return Result(
        size=size,
        bound=bound,
        parameters=parameters,
        tensors=[_row(name, shape, dtype, wanted, choices) for name, shape in shapes.items()],
        memory=[[n, size + _memory(config, n, quantized=any(choices.values()))] for n in task.contexts],
        dtype=dtype,
        versions={name: importlib.metadata.version(name) for name in ("mlx", "mlx-lm")},
        notes=list(notes),
    )


def _shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]] | None:
    """Every tensor in mlx-lm's order; None for a config that is not plain, or that is wrong, as mlx-lm will say."""
    kind = config.get("model_type")
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    plain = (
        kind in _FAMILIES
        and all(type(config.get(name)) is int and config[name] > 0 for name in _NUMBERS)
        and isinstance(config.get("tie_word_embeddings"), bool)
        and isinstance(config.get("rms_norm_eps"), float)
        and isinstance(rope, Mapping)
        and rope.get("rope_type", rope.get("type", "default")) in _ROPES
        and "sliding_attention" not in (config.get("layer_types") or ())
    )
    if not plain:
        return None
    vocabulary, hidden, inner, count, heads, kv_heads, _ = (config[name] for name in _NUMBERS)
    head = config.get("head_dim") or hidden // heads
    biased = kind == "qwen2" or bool(config.get("attention_bias"))
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (vocabulary, hidden)}
    for number in range(count):
        layer = f"model.layers.{number}"
        for part, rows, width in (
            ("q", heads * head, hidden), ("k", kv_heads * head, hidden), ("v", kv_heads * head, hidden),
            ("o", hidden, heads * head),
        ):  # fmt: skip
            shapes[f"{layer}.self_attn.{part}_proj.weight"] = (rows, width)
            if biased and not (kind == "qwen2" and part == "o"):
                shapes[f"{layer}.self_attn.{part}_proj.bias"] = (rows,)
        if kind == "qwen3":
            shapes |= {f"{layer}.self_attn.{part}_norm.weight": (head,) for part in "qk"}
        for part, rows, width in (("gate", inner, hidden), ("down", hidden, inner), ("up", inner, hidden)):
            shapes[f"{layer}.mlp.{part}_proj.weight"] = (rows, width)
            if config.get("mlp_bias"):
                shapes[f"{layer}.mlp.{part}_proj.bias"] = (rows,)
        shapes |= {f"{layer}.{part}_layernorm.weight": (hidden,) for part in ("input", "post_attention")}
    shapes["model.norm.weight"] = (hidden,)
    if not config["tie_word_embeddings"]:
        shapes["lm_head.weight"] = (vocabulary, hidden)
    return shapes


def _wanted(task: Task, path: str) -> Choice | None:
    if task.bits is None:
        return None
    special = task.embedding_bits is not None and path in _VOCABULARY
    return Choice(
        task.embedding_bits if special and task.embedding_bits is not None else task.bits,
        task.group_size,
        "affine" if special else task.mode,
    )


def _arrays(name: str, shape: tuple[int, ...], dtype: str, choices: Choices) -> Iterator[_Array]:
    """What stands in the file for a tensor."""
    layer = name.removesuffix(".weight")
    choice = choices.get(layer) if name.endswith(".weight") else None
    if choice is None:
        yield _Array(name, dtype, shape)
        return
    *rows, width = shape
    scale = dtype if choice.mode == "affine" else "uint8"
    yield _Array(name, "uint32", (*rows, width * choice.bits // 32))
    yield _Array(f"{layer}.scales", scale, (*rows, width // choice.group_size))
    if choice.mode == "affine":
        yield _Array(f"{layer}.biases", scale, (*rows, width // choice.group_size))


def _size(arrays: list[_Array]) -> int:
    """Bytes of all weight files."""
    by_name = {array.name: array for array in arrays}
    files = layout.split({array.name: array.size for array in arrays}).values()
    entries = [
        [(name, by_name[name].dtype, by_name[name].shape, by_name[name].size) for name in part] for part in files
    ]
    return sum(array.size for array in arrays) + sum(len(layout.head_of(part)) for part in entries)


def _row(
    name: str,
    shape: tuple[int, ...],
    dtype: str,
    wanted: Mapping[str, Choice | None],
    choices: Choices,
) -> list[Any]:
    """As `Result.tensors`."""
    layer = name.removesuffix(".weight") if name.endswith(".weight") else None
    choice, asked = (choices.get(layer), wanted.get(layer)) if layer is not None else (None, None)
    size = sum(array.size for array in _arrays(name, shape, dtype, choices))
    return [name, list(shape), str(choice) if choice else dtype, size, str(asked) if asked != choice else None]


def _memory(config: Mapping[str, Any], context: int, *, quantized: bool) -> int:
    """Beside the weights, as `memory.predict` tells it."""
    _, hidden, inner, count, heads, kv_heads, _ = (config[name] for name in _NUMBERS)
    head = config.get("head_dim") or hidden // heads
    tokens = -(-context // _STEP) * _STEP
    caches = count * tokens * 2 * kv_heads * head * 2
    metal = "metal" in engine.devices()
    return computing(caches, context, hidden, inner, heads, quantized=quantized, metal=metal)
