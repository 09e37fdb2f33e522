"""In the child: raise the layers that suffer most, and no more of them than the task's thresholds need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path

import mlx.core as mx  # noqa: TID253  # a module of the child process
from attrs import evolve, field, frozen

from pajamas_mlx.quantize.activations import measure
from pajamas_mlx.quantize.allocation import Step, order_steps
from pajamas_mlx.quantize.choices import Choices
from pajamas_mlx.quantize.divergence import Original
from pajamas_mlx.quantize.layer_errors import measure_errors
from pajamas_mlx.quantize.opening import open_model
from pajamas_mlx.quantize.room import Room
from pajamas_mlx.quantize.smallest import smallest
from pajamas_mlx.quantize.streaming import OnDisk
from pajamas_mlx.quantize.task import Probe, Task
from pajamas_mlx.quantize.windows import read_windows

_TOKENS, _SLOW_TOKENS = 16384, 2048
"""Of a text that are measured unless all of it was asked for, with Metal and without: later ones change little."""
_WORK = 4e13
"""Parameters times tokens of a pass of an estimate, of which there are several: seconds with Metal."""
_MARGIN = 2.0
"""Standard errors by which an estimate must stay below its threshold."""

Emit = Callable[..., None]


@frozen(kw_only=True)
class Raised:
    choices: Choices
    bits: dict[str, int] = field(factory=dict)
    """Path of each raised layer to its bits."""
    tokens: int | None = None
    """That the inputs were measured on; None without a text."""
    probes: tuple[Probe, ...] = ()
    probe_tokens: int = 0
    enough: bool | None = None
    """As `Result.enough`."""


def raise_layers(task: Task, choices: Choices, room: Room, emit: Emit) -> Raised:
    """Raise layers of the task's model: as few as keep it within the task's thresholds, and as far as there is room
    where it has none, or nothing to measure on.

    Raises:
        UsageError: the text is too short.
        UnsupportedModel: the tokenizer cannot be read.
    """
    original, tokens = (None, None) if task.text is None else _measure(task, room, emit)
    emit("stage", title="Measuring the layers' errors", total=len(room.sizes), unit="tensors")
    squares = {} if original is None else original.activations.squares
    offers = measure_errors(
        open_model(Path(task.source)), choices, room, squares, lambda n, path: emit("advance", amount=n, note=path)
    )
    steps = order_steps(offers, room.budget)

    def after(count: int) -> Choices:
        bits = _bits(steps[:count])
        raised = {path: evolve(choice, bits=bits[path]) for path, choice in choices.items() if choice and path in bits}
        return {**choices, **raised}

    judged = task.max_increase is not None or task.max_divergence is not None
    if original is None or original.activations.head is None or not judged:
        return Raised(choices=after(len(steps)), bits=_bits(steps), tokens=tokens)
    probes: list[Probe] = []

    def load(count: int) -> float:
        bits = room.bits_per_weight(sum(step.cost for step in steps[:count]))
        title = f"Estimating the loss at {bits:.2f} bits per weight"
        emit("stage", title=title, total=original.activations.calls, unit="layers")
        probe = original.probe(after(count), lambda path: emit("advance", amount=1, note=path))
        probes.append(evolve(probe, raised=len(_bits(steps[:count])), bits_per_weight=bits))
        return _load(probe, task)

    error = sum(found[0].error for found in offers.values())
    count, enough = smallest(list(accumulate((-step.gain for step in steps), initial=error)), load)
    return Raised(
        choices=after(count),
        bits=_bits(steps[:count]),
        tokens=tokens,
        probes=tuple(probes),
        probe_tokens=original.tokens,
        enough=enough,
    )


def _measure(task: Task, room: Room, emit: Emit) -> tuple[Original, int]:
    """The original on the task's text, and the number of tokens that its layers' inputs are measured on."""
    assert task.text is not None
    folder, metal = Path(task.source), mx.metal.is_available()
    most = _TOKENS if metal else _SLOW_TOKENS
    text = Path(task.text).read_text(encoding="utf-8")
    batches = read_windows(folder, text, None if task.all_text else most)
    tokens = sum(batch.size for batch in batches)
    affordable = min(most, max(_SLOW_TOKENS, _WORK / room.parameters))
    before = accumulate((batch.size for batch in batches), initial=0)
    compared = [batch for batch, count in zip(batches, before, strict=False) if count < affordable]
    # Without Metal MLX takes many times as long for 16 bits, and computes a layer of experts in 32 only.
    source = OnDisk(folder, None if metal else "float32")
    emit("stage", title="Measuring the layers' inputs", total=tokens, unit="tokens")
    activations = measure(source, batches, lambda count: emit("advance", amount=count, note=""), len(compared))
    return Original(source=source, batches=compared, activations=activations), tokens


def _bits(steps: Sequence[Step]) -> dict[str, int]:
    return {step.layer: step.offer.bits for step in steps}


def _load(probe: Probe, task: Task) -> float:
    """The largest share of a threshold that the estimate takes, its error on the safe side."""
    figures = (
        (probe.divergence, probe.divergence_error, task.max_divergence),
        (probe.increase, probe.increase_error, task.max_increase),
    )
    return max((value + _MARGIN * error) / max(limit, 1e-9) for value, error, limit in figures if limit is not None)
