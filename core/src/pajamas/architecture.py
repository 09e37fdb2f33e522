"""detect_architecture: what a model is, from its config and headers, without its weights and without an engine."""

from __future__ import annotations

from pajamas.architecture_gguf import detect_gguf, model_name
from pajamas.architecture_hf import detect_hf
from pajamas.modelfiles import ModelFiles, read_json
from pajamas.types import Architecture


def detect_architecture(files: ModelFiles) -> Architecture | None:
    """What the files are: a folder in Hugging Face layout, or the one GGUF model (split or not) among them.

    Reads config.json and headers only, over the network by ranges. GGUF repositories often have a config.json too:
    it counts where there are safetensors files, or not exactly one GGUF model.

    Returns None for files that are neither.

    Raises:
        ModelFileError: they are one or the other, but damaged, incomplete or hostile.
    """
    name = model_name(files)
    if name is not None and not any(file.endswith(".safetensors") for file in files.sizes()):
        return detect_gguf(files, name)
    config = read_json(files, "config.json")
    return None if config is None else detect_hf(files, config)
