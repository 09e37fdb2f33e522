"""The source: checked from its headers, and laid out as mlx-lm's loader wants it."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pajamas.errors import ModelFileError, NotCached, UnsupportedModel
from pajamas.hub_files import INDEX, side_files
from pajamas.modelfiles import ModelFiles, read_json
from pajamas.safetensors_header import DTYPE_BITS, SafetensorsEntry, read_tensors, weight_files
from pajamas.types import QuantizeJob
from pajamas_mlx.model_classes import has_bare_names

_FLOATS = frozenset({"F32", "F16", "BF16"})
_INTEGERS = frozenset({"I64", "I32", "BOOL"})
"""Of masks and positions, which some models keep among their weights."""
_NATIVE = "mxfp4"
"""The one quantized source that is taken: gpt-oss was published in no other form, and its experts stay as they are."""


def check(job: QuantizeJob) -> tuple[dict[str, SafetensorsEntry], tuple[str, ...]]:
    """Every tensor of the source by name, and notes.

    Raises:
        UnsupportedModel: GGUF files, a model that is quantized already, in 64 bits, without an output layer, or with
            code of its own.
        ModelFileError: the files are damaged, or there are none.
    """
    config = read_json(job.files, "config.json")
    if config is None:
        gguf = any(name.endswith(".gguf") for name in job.files.sizes())
        raise UnsupportedModel(
            f"{job.files.origin} cannot become an MLX model.",
            "It is a GGUF file; MLX models are made from safetensors." if gguf else "It has no config.json.",
            "Name the Hugging Face repository, or a folder of it.",
        )
    notes = _check_config(config, job.files)
    tensors = read_tensors(job.files)
    if not tensors:
        raise ModelFileError(f"{job.files.origin} has no safetensors weights.", "", "Name a folder that has.")
    allowed = _FLOATS | _INTEGERS | ({"U8"} if notes else set())
    for tensor in tensors.values():
        if tensor.dtype == "F64":
            raise UnsupportedModel(
                "MLX reads no tensors of the type F64.",
                f"{tensor.name} of {job.files.origin} is one.",
                "Save the model in 16 or 32 bits, or use another format: --formats gguf.",
            )
        if tensor.dtype not in allowed:
            raise UnsupportedModel(
                f"{job.files.origin} is quantized already.",
                f"{tensor.name} is {tensor.dtype}.",
                "Name the 16-bit original: quantizing again loses more.",
            )
    tied = {**(config.get("text_config") or {}), **config}.get("tie_word_embeddings")
    if has_bare_names(tensors) and not tied and not any(name.startswith("lm_head.") for name in tensors):
        raise UnsupportedModel(
            f"{job.files.origin} is a model without an output layer.",
            "It was saved to embed texts, and mlx-lm's models generate.",
            "Use another format: --formats gguf.",
        )
    return tensors, notes


def _check_config(config: Mapping[str, Any], files: ModelFiles) -> tuple[str, ...]:
    if config.get("model_file") is not None:
        raise UnsupportedModel(
            f"{files.origin} needs code of its own to run.",
            f"Its config names {config['model_file']!r}, and code of a model is never run.",
            "Find a model of an architecture that mlx-lm has.",
        )
    text = config.get("text_config")
    sections = [config, text] if isinstance(text, Mapping) else [config]
    found = next(
        (part[key] for part in sections for key in ("quantization", "quantization_config") if part.get(key)), None
    )
    if found is None and "hf_quant_config.json" not in files.sizes():
        return ()
    method = found.get("quant_method", found.get("mode")) if isinstance(found, Mapping) else None
    if method == _NATIVE and config.get("model_type") == "gpt_oss" and "quantization" not in config:
        return ("The source's experts are in mxfp4 already, and stay as they are.",)
    how = f" ({method})" if isinstance(method, str) else ""
    raise UnsupportedModel(
        f"{files.origin} is quantized already{how}.",
        "Quantizing again loses more than quantizing the 16-bit original.",
        "Name the 16-bit original.",
    )


def link(files: ModelFiles, folder: Path) -> None:
    """Lay the source out in `folder`, by links: weights under the names that mlx-lm looks for, and the small files.

    Raises:
        NotCached: a file is not on this machine.
    """
    weights = weight_files(files)
    for number, name in enumerate(weights, 1):
        _link(files, name, folder / f"model-{number:05d}.safetensors")
    for name in small_files(files):
        _link(files, name, folder / name)


def outline(files: ModelFiles, tensors: Mapping[str, SafetensorsEntry], folder: Path) -> None:
    """The same with a hole for the weights, from headers alone."""
    header: dict[str, Any] = {}
    end = 0
    for name, tensor in tensors.items():
        size = math.prod(tensor.shape) * DTYPE_BITS[tensor.dtype] // 8
        header[name] = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        stream.truncate(8 + len(text) + end)
    for name in ("config.json", "generation_config.json"):
        if name in files.sizes():
            (folder / name).write_bytes(files.read(name))


def small_files(files: ModelFiles) -> list[str]:
    """Tokenizer, templates and configs. The model card speaks of other files than these."""
    return [name for name in side_files(files.sizes()) if name not in (INDEX, "README.md")]


def copy_small_files(files: ModelFiles, folder: Path) -> None:
    """All but config.json, which is rewritten: byte for byte, so that they tokenize and speak as the source does."""
    for name in small_files(files):
        if name != "config.json":
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(files.read(name))


def _link(files: ModelFiles, name: str, path: Path) -> None:
    local = files.local_path(name)
    if local is None:
        raise NotCached(f"{name} of {files.origin} is not on this machine.", "", "Use `pajamas pull`.")
    path.parent.mkdir(exist_ok=True)
    try:
        path.symlink_to(local.resolve())
    except OSError:  # some disks know no links: a second name for the file, or a copy
        try:
            os.link(local.resolve(), path)
        except OSError:
            shutil.copyfile(local, path)
