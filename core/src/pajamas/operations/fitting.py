"""Whether a model fits before it is loaded: the context that was asked for, and the memory that is there."""

from __future__ import annotations

import logging
from pathlib import Path

from pajamas.dispatch import Choice
from pajamas.errors import NotEnoughMemory, PajamasError
from pajamas.modelfiles import LocalFiles
from pajamas.operations.detecting import detect, weight_sizes
from pajamas.plugins import PluginHost
from pajamas.types import Architecture, Artifact, LoadOptions

log = logging.getLogger(__name__)

_USUAL_CONTEXT = 8192
"""Tokens that backends take at most where no length is asked for."""
_KV_BYTES = {"f32": 4.0, "f16": 2.0, "bf16": 2.0, "q8_0": 34 / 32, "q5_1": 24 / 32, "q5_0": 22 / 32, "q4_0": 18 / 32}
"""Of one value of the key/value cache, by its type; another type counts for nothing."""
_WORTH_A_LOOK = 0.25
"""Share of the memory below which weights are loaded without reading the header first."""


def check_fit(host: PluginHost, artifact: Artifact, choice: Choice, options: LoadOptions) -> None:
    """Refuse what takes more memory than there is, and warn of a context that the model does not have, from headers
    alone. What cannot be told is left to the backend.

    Raises:
        NotEnoughMemory: weights and key/value cache take more than this machine has left. On a GPU nothing is refused:
            its memory is its own.
    """
    try:
        files = LocalFiles(artifact.path)
        weights = sum(weight_sizes(files).values())
        free = available_memory() if _on_processor(choice, options) else None
        if options.context_length is None and weights < _WORTH_A_LOOK * (free or float("inf")):
            return
        architecture = detect(host, files)
    except PajamasError:  # the backend says what is wrong with the file
        return
    if warning := context_warning(architecture, options.context_length, artifact.path):
        log.warning("%s", warning)
    if free is not None:
        check_memory(architecture, options, weights, free, artifact.path)


def context_warning(architecture: Architecture, asked: int | None, path: Path) -> str | None:
    """What a person should know who asks for a context beyond what the model was trained for; None if it is not.

    It is allowed: a text that stays shorter is not hurt by it, and rope scaling is not ours to set.
    """
    longest = trained_context(architecture)
    if asked is None or longest is None or asked <= longest:
        return None
    further = architecture.extended_context_length or 0
    scaled = f" Its authors name {further:,} with a rope scaling, which this file lacks." if further >= asked else ""
    return (
        f"A context of {asked:,} tokens is longer than {path.name} was trained for, {longest:,}: beyond that its "
        f"answers fall apart.{scaled} Use --context {longest}, or convert the model with rope_scaling set in its "
        "config.json."
    )


def trained_context(architecture: Architecture) -> int | None:
    """Tokens that the model takes as its file is; None where nothing says."""
    extended = architecture.extended_context_length if architecture.rope_scaling else None
    return max(architecture.context_length or 0, extended or 0) or None


def check_memory(architecture: Architecture, options: LoadOptions, weights: int, free: int, path: Path) -> None:
    """Raises NotEnoughMemory with the figures; `weights` and `free` are bytes."""
    context = options.context_length or min(trained_context(architecture) or 0, _USUAL_CONTEXT)
    cache = kv_cache(architecture, context * (options.max_sequences or 1), options.kv_type)
    if weights + cache <= free:
        return
    smaller = "Use a smaller scheme" if weights > free else "Use a shorter --context, --kv-type q8_0"
    raise NotEnoughMemory(
        f"{path.name} does not fit this machine's memory.",
        f"Its weights take {_bytes(weights)}, {context:,} tokens of context {_bytes(cache)}, and "
        f"{_bytes(free)} are free.",
        f"{smaller}, or close other programs.",
    )


def kv_cache(architecture: Architecture, tokens: int, kv_type: str | None) -> int:
    """Bytes at least: 2 x layers x KV heads x head size x tokens x bytes a value. 0 where the header leaves it open, or
    layers do not all keep every token."""
    a = architecture
    if a.attention_type not in ("mha", "gqa", "mqa") or a.sliding_window:
        return 0
    width = _KV_BYTES.get((kv_type or "f16").lower(), 0)
    return int(2 * (a.num_layers or 0) * (a.num_kv_heads or 0) * (a.head_dim or 0) * tokens * width)


def available_memory() -> int | None:
    """Bytes that a process can still have: Linux' own estimate, and the control group's limit; None elsewhere."""
    found = _meminfo("MemAvailable")
    limit = _number("/sys/fs/cgroup/memory.max")
    used = _number("/sys/fs/cgroup/memory.current")
    if limit is not None and used is not None:
        cached = _group_cache()
        found = min(limit - used + cached, found if found is not None else limit)
    return found


def _on_processor(choice: Choice, options: LoadOptions) -> bool:
    device = choice.device or options.device or next(iter(choice.info.devices), "cpu")
    return device == "cpu" or options.gpu_layers == 0


def _meminfo(name: str) -> int | None:
    for line in _lines("/proc/meminfo"):
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) * 1024
    return None


def _group_cache() -> int:
    """Pages of files, which the group gives back when it must."""
    words = [line.split() for line in _lines("/sys/fs/cgroup/memory.stat")]
    return sum(int(value) for key, value in words if key in ("inactive_file", "active_file"))


def _number(path: str) -> int | None:
    text = "".join(_lines(path)).strip()
    return int(text) if text.isdigit() else None  # "max" is no limit


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read().splitlines()
    except OSError:
        return []


def _bytes(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.2f} MB"
