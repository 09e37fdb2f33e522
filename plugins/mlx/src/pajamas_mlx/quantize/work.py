"""In the child: plan an MLX folder from headers, measure what to raise, write it."""

from __future__ import annotations

import importlib.metadata
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import mlx.core as mx  # noqa: TID253  # a module of the child process
from mlx_lm.utils import load_model, save_config  # noqa: TID253  # a module of the child process

from pajamas.errors import EngineError
from pajamas_mlx.quantize import layout
from pajamas_mlx.quantize.choices import Choice, Choices, choose, layers, quantize, quantized
from pajamas_mlx.quantize.memory import predict
from pajamas_mlx.quantize.opening import Opened, open_model
from pajamas_mlx.quantize.raising import Raised, raise_layers
from pajamas_mlx.quantize.room import Room, room_of, sizes_of
from pajamas_mlx.quantize.task import Result, Task

Emit = Callable[..., None]


def work(task: Task, emit: Emit) -> Result:
    """Do the task. No more than one layer at a time is in memory.

    Raises:
        PajamasError: mlx-lm cannot read the model, or cannot make what is asked for.
        OSError: the disk is full.
    """
    folder = Path(task.source)
    opened = open_model(folder, task.dtype)
    choices: Choices = {path: None for path, _ in layers(opened.model)}
    missed: dict[str, Choice] = {}
    body = None if task.bits is None else Choice(task.bits, task.group_size, task.mode)
    if body is not None:
        choices, missed = choose(opened.model, opened.config, body, task.embedding_bits, task.mixed)
    bound = None
    raised = Raised(choices=choices)
    if task.target_bpw is not None:
        room = _room(open_model(folder, task.dtype), choices, body, task.target_bpw)
        if room.most > room.least:
            bound = room.most + room.fixed
            if task.output is not None:
                emit("planned", size=bound)
                raised = raise_layers(task, choices, room, emit)
    config = quantize(opened.model, opened.config, raised.choices, body)
    shards = layout.plan(opened.model)
    size = sum(shard.size for shard in shards)
    packed = quantized(opened.model)
    tensors = _tensors(shards, packed, missed)
    parameters = _parameters(tensors)
    result = Result(
        size=size,
        bound=bound,
        parameters=parameters,
        tensors=tensors,
        memory=[[n, predict(opened.model, n, size, quantized=bool(packed))] for n in task.contexts],
        raised=raised.bits,
        tokens=raised.tokens,
        probes=[attrs.asdict(probe) for probe in raised.probes],
        probe_tokens=raised.probe_tokens,
        enough=raised.enough,
        dtype=opened.dtype,
        versions={name: importlib.metadata.version(name) for name in ("mlx", "mlx-lm")},
        notes=list(opened.notes),
    )
    del opened  # its arrays are in the shards, and dropped as they are written
    if task.output is not None:
        emit("planned", size=size)
        emit("stage", title="Writing the MLX model", total=size, unit="bytes")
        _write(Path(task.output), shards, config, parameters, emit)
    return result


def _room(opened: Opened, choices: Choices, body: Choice | None, target_bpw: float) -> Room:
    elements = {path: module.weight.size for path, module in layers(opened.model)}
    sizes = sizes_of(elements, choices, getattr(mx, opened.dtype).size)
    quantize(opened.model, opened.config, choices, body)
    shards = layout.plan(opened.model)
    parameters = _parameters(_tensors(shards, quantized(opened.model), {}))
    return room_of(sizes, sum(shard.size for shard in shards), parameters, target_bpw)


def _write(folder: Path, shards: list[layout.Shard], config: dict[str, Any], parameters: int, emit: Emit) -> None:
    expected = {shard.name: shard.size for shard in shards}
    layout.write_weights(folder, shards, parameters, lambda amount, layer: emit("advance", amount=amount, note=layer))
    save_config(config, folder / "config.json")
    try:
        load_model(folder, lazy=True)  # headers alone, but every name and shape
    except ValueError as error:
        raise EngineError(
            "mlx-lm cannot read what was written.", str(error)[:400], "This is a fault of pajamas."
        ) from error
    for name, size in expected.items():
        if (found := (folder / name).stat().st_size) != size:
            raise EngineError(f"{name} has {found:,} bytes instead of {size:,}.", "", "Run it again.")


def _tensors(
    shards: list[layout.Shard], packed: Mapping[str, tuple[Choice, tuple[int, ...]]], missed: Mapping[str, Choice]
) -> list[list[Any]]:
    """As `Result.tensors`: a quantized layer's weight, scales and biases are one tensor of the weight's own shape."""
    found: dict[str, list[Any]] = {}
    for name, array in (item for shard in shards for item in shard.arrays.items()):
        layer, _, part = name.rpartition(".")
        if layer in packed and part in ("weight", "scales", "biases"):
            choice, shape = packed[layer]
            name, kind = f"{layer}.weight", str(choice)
        else:
            shape, kind = tuple(array.shape), layout.dtype_of(array)
        wanted = str(missed[layer]) if name.endswith(".weight") and layer in missed else None
        found.setdefault(name, [name, list(shape), kind, 0, wanted])[3] += array.nbytes
    return list(found.values())


def _parameters(tensors: list[list[Any]]) -> int:
    return sum(math.prod(shape) for _, shape, *_ in tensors)
