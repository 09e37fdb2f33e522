"""The source: checked from its headers, and laid out as transformers' loader wants it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pajamas.errors import ModelFileError, NotCached, UnsupportedModel
from pajamas.hub_files import INDEX, side_files
from pajamas.modelfiles import ModelFiles, read_json
from pajamas.safetensors_header import SafetensorsEntry, read_tensors, weight_files
from pajamas.types import QuantizeJob

_FLOATS = frozenset({"F32", "F16", "BF16"})
_TOWERS = ("vision_config", "audio_config", "text_config")


def check(job: QuantizeJob) -> dict[str, SafetensorsEntry]:
    """Every tensor of the source by name.

    Raises:
        UnsupportedModel: GGUF files, a model that is quantized already, is no plain decoder, or has code of its own.
        ModelFileError: the files are damaged, or there are none.
    """
    config = read_json(job.files, "config.json")
    if config is None:
        gguf = any(name.endswith(".gguf") for name in job.files.sizes())
        raise UnsupportedModel(
            f"{job.files.origin} cannot be quantized for vLLM.",
            "It is a GGUF file, and vLLM's artifacts are made from safetensors." if gguf else "It has no config.json.",
            "Name the Hugging Face repository, or a folder of it.",
        )
    _check_config(config, job)
    tensors = read_tensors(job.files)
    if not tensors:
        raise ModelFileError(f"{job.files.origin} has no safetensors weights.", "", "Name a folder that has.")
    for tensor in tensors.values():
        if tensor.dtype not in _FLOATS and len(tensor.shape) > 1:
            raise UnsupportedModel(
                f"{job.files.origin} is quantized already.",
                f"{tensor.name} is {tensor.dtype}.",
                "Name the 16-bit original: quantizing again loses more.",
            )
    return tensors


def _check_config(config: Mapping[str, Any], job: QuantizeJob) -> None:
    origin, gguf = job.files.origin, "Use another format: --formats gguf."
    found = config.get("quantization_config") or config.get("quantization")
    if found is not None or "hf_quant_config.json" in job.files.sizes():
        method = found.get("quant_method", found.get("mode")) if isinstance(found, Mapping) else None
        raise UnsupportedModel(
            f"{origin} is quantized already{f' ({method})' if isinstance(method, str) else ''}.",
            "Quantizing again loses more than quantizing the 16-bit original.",
            "Name the 16-bit original; vLLM itself loads most quantized models as they are.",
        )
    if config.get("auto_map") is not None:
        raise UnsupportedModel(
            f"{origin} needs code of its own to run.",
            "Code of a model is never run.",
            "Find one that transformers has.",
        )
    if tower := next((name for name in _TOWERS if config.get(name)), None):
        raise UnsupportedModel(
            f"{origin} is more than a decoder of text.", f"Its config has a {tower}, which is not quantized here.", gguf
        )
    if job.architecture.num_experts:
        raise UnsupportedModel(
            f"{origin} is a mixture of experts, which is not quantized for vLLM here.",
            "A text must reach every expert to calibrate it, and that could not be tried.",
            f"vLLM loads models that others have quantized. {gguf}",
        )


def link(files: ModelFiles, folder: Path) -> None:
    """Lay the source out in `folder`, by links: weights, their index, and the small files.

    Raises:
        NotCached: a file is not on this machine.
    """
    index = [INDEX] if INDEX in files.sizes() else []
    for name in (*weight_files(files), *index, *small_files(files)):
        local = files.local_path(name)
        if local is None:
            raise NotCached(f"{name} of {files.origin} is not on this machine.", "", "Use `pajamas pull`.")
        path = folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        try:
            path.symlink_to(local.resolve())
        except OSError:  # some disks know no links: a second name for the file, or a copy
            try:
                os.link(local.resolve(), path)
            except OSError:
                shutil.copyfile(local, path)


def small_files(files: ModelFiles) -> list[str]:
    """Tokenizer, templates and configs. The model card speaks of other files than these."""
    return [name for name in side_files(files.sizes()) if name not in (INDEX, "README.md")]


def copy_small_files(files: ModelFiles, folder: Path) -> None:
    """All but config.json, which is rewritten: byte for byte, so that they tokenize and speak as the source does."""
    for name in small_files(files):
        if name != "config.json":
            (folder / name).parent.mkdir(exist_ok=True, parents=True)
            (folder / name).write_bytes(files.read(name))
