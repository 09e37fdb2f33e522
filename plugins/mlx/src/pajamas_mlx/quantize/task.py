"""What goes to the child process and comes back; both are JSON."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen


@frozen(kw_only=True)
class Task:
    """What to do. Paths are text."""

    source: str
    """A folder with config.json and model*.safetensors; in a dry run these have a hole for their data."""
    output: str | None
    """The folder to fill, which is there and empty; None for a dry run."""
    dtype: str | None
    bits: int | None
    """None writes 16 bits."""
    group_size: int
    mode: str
    mixed: str | None
    """mlx-lm's name of a recipe."""
    embedding_bits: int | None
    target_bpw: float | None
    max_increase: float | None = None
    """Of the perplexity, per cent: raise no more layers than are estimated to stay below. None raises all there is room
    for, as `max_divergence` does."""
    max_divergence: float | None = None
    """Mean KL divergence, nats."""
    text: str | None = None
    """A file with the calibration text, UTF-8."""
    all_text: bool = False
    """Measure on all of it, however long that takes."""
    contexts: list[int] = field(factory=list)


@frozen(kw_only=True)
class Probe:
    """An estimate of how far an allocation is from the original, with standard errors."""

    divergence: float
    """Mean KL divergence, nats."""
    divergence_error: float
    increase: float
    """Of the perplexity, per cent."""
    increase_error: float
    raised: int = 0
    """Layers that are raised."""
    bits_per_weight: float = 0.0
    """Of the whole model."""


@frozen(kw_only=True)
class Result:
    size: int
    """Bytes of all weight files."""
    bound: int | None = None
    """Of a dry run: the most bytes that it may come to once layers are raised; None if `size` is exact."""
    parameters: int
    tensors: list[list[Any]]
    """[name, shape, type, bytes, wanted type or None]"""
    memory: list[list[int]]
    """[context, bytes]"""
    raised: dict[str, int] = field(factory=dict)
    """Path of a layer to the bits that it was raised to."""
    tokens: int | None = None
    """That the layers' inputs were measured on."""
    probes: list[dict[str, Any]] = field(factory=list)
    """Fields of `Probe`, in the order they were made; the allocation is the smallest one that is good enough."""
    probe_tokens: int = 0
    """That each of them compares."""
    enough: bool | None = None
    """Whether the allocation is estimated to be good enough; None where that was not asked or could not be told."""
    dtype: str
    versions: dict[str, str]
    notes: list[str]
