"""What a model's folder says about it, checked before the engine sees it."""

from __future__ import annotations

import importlib.util
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from pajamas.architecture import detect_architecture
from pajamas.errors import ModelFileError, UnsupportedModel
from pajamas.modelfiles import LocalFiles, read_json
from pajamas.safetensors_header import SafetensorsEntry, read_tensors, weight_files
from pajamas.types import Architecture, Sampling
from pajamas_mlx import engine
from pajamas_mlx.model_classes import has_bare_names

_NAME = re.compile(r"[A-Za-z0-9_]+")
_LONGEST = 1 << 24
_CONTEXTS = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "model_max_length")
# What mlx.core.load reads; numbers of 8 bits as they are, for those models that unpack them.
_DTYPES = frozenset(
    {"BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64", "F16", "BF16", "F32", "C64", "F8_E4M3", "F8_E8M0"}
)
_ROTARY = ("rope", "rotary", "partial_rotary")
_EXPERT = re.compile(r"\bexperts\b.*(?<!bias)$")
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "tiktoken.model")


@frozen
class Facts:
    """A checked folder."""

    folder: Path
    config: Mapping[str, Any]
    generation: Mapping[str, Any]
    """generation_config.json; empty where there is none."""
    architecture: Architecture
    files: tuple[str, ...]
    """The weights' files."""
    tensors: Mapping[str, SafetensorsEntry]

    @property
    def size(self) -> int:
        """Bytes of weights."""
        return sum(entry.size for entry in self.tensors.values())

    @property
    def quantized(self) -> bool:
        """Whether some weights are integers with scales, as mlx-lm writes them."""
        return any(name.endswith(".scales") for name in self.tensors)

    @property
    def wants_float32(self) -> str:
        """Why MLX should compute in float32 on the processor where nothing else is asked: the end of a sentence that
        says so. Empty if it need not."""
        if self.quantized:
            return "which is several times faster there"
        if any(entry.dtype in ("F16", "BF16") and _EXPERT.search(name) for name, entry in self.tensors.items()):
            return "the only type in which it multiplies experts there"
        return ""

    @property
    def trained_context(self) -> int:
        """Tokens, 0 if the config does not say."""
        config = {**self._text, **self.config}
        found = next((config[name] for name in _CONTEXTS if isinstance(config.get(name), int)), 0)
        return found if 0 < found < _LONGEST else 0

    @property
    def rotary(self) -> bool:
        """Whether positions are rotations."""
        return any(name.startswith(_ROTARY) for name in {**self._text, **self.config})

    @property
    def end_tokens(self) -> tuple[int, ...]:
        """Tokens that end an answer, as generation_config.json has them, else config.json."""
        found = self.generation.get("eos_token_id") or self.config.get("eos_token_id") or self._text.get("eos_token_id")
        listed = found if isinstance(found, list) else [found]
        return tuple(token for token in listed if type(token) is int)

    @property
    def default_sampling(self) -> Sampling:
        """What generation_config.json recommends. A value that makes no sense recommends nothing."""
        top_k = self._number("top_k", 0, 1 << 30)
        return Sampling(
            temperature=self._number("temperature", 0, 100),
            top_k=None if top_k is None else int(top_k),
            top_p=self._number("top_p", 0, 1),
            min_p=self._number("min_p", 0, 1),
            repetition_penalty=self._number("repetition_penalty", 0.01, 100),
        )

    @property
    def _text(self) -> Mapping[str, Any]:
        found = self.config.get("text_config")
        return found if isinstance(found, dict) else {}

    def _number(self, name: str, low: float, high: float) -> float | None:
        found = self.generation.get(name)
        if isinstance(found, bool) or not isinstance(found, int | float):
            return None
        return found if math.isfinite(found) and low <= found <= high else None


def read_facts(folder: Path) -> Facts:
    """Read and check a model's folder, without the engine: config, headers of the weights, that there is a tokenizer.

    Raises:
        ModelFileError: it is damaged or hostile, or holds no model in Hugging Face layout.
        UnsupportedModel: mlx-lm does not know its kind, or it needs code of its own.
    """
    if not folder.is_dir():
        raise ModelFileError(f"{folder} is no folder.", "MLX loads folders in Hugging Face layout.", "Check the path.")
    files = LocalFiles(folder)
    config = read_json(files, "config.json")
    if config is None:
        raise ModelFileError(f"{folder} holds no config.json.", "It is no whole model.", "Get the model again.")
    _check_kind(folder, config)
    tensors = read_tensors(files)
    if not tensors:
        raise ModelFileError(f"{folder} holds no weights.", "There is no safetensors file.", "Get the model again.")
    strange = sorted({entry.dtype for entry in tensors.values()} - _DTYPES)
    if strange:
        raise UnsupportedModel(
            f"MLX reads no tensors of the type {strange[0]}.",
            f"{folder} holds some.",
            "Convert it for another backend.",
        )
    names = weight_files(files)
    # mlx-lm reads every file of this name, whatever the index says.
    read = sorted(name for name in files.sizes() if "/" not in name and re.fullmatch(r"model.*\.safetensors", name))
    if read != sorted(names):
        raise ModelFileError(
            f"The weights of {folder} are not those that MLX would read.",
            f"They are {', '.join(names)}, and MLX reads {', '.join(read) or 'none'}.",
            "Leave one set of files there, called model.safetensors or as the index names them.",
        )
    if not any(name in files.sizes() for name in _TOKENIZERS):
        raise ModelFileError(f"{folder} holds no tokenizer.", "There is no tokenizer.json.", "Get the model again.")
    tied = {**(config.get("text_config") or {}), **config}.get("tie_word_embeddings")
    if has_bare_names(tensors) and not tied and not any(name.startswith("lm_head.") for name in tensors):
        raise UnsupportedModel(
            f"{folder} holds a model without an output layer.",
            "It was saved to embed texts, and cannot generate or score.",
            "Choose another model.",
        )
    architecture = detect_architecture(files)
    if architecture is None:
        raise ModelFileError(f"{folder} does not say what it is.", "", "Check its config.json.")
    generation = read_json(files, "generation_config.json") or {}
    return Facts(folder, config, generation, architecture, tuple(names), tensors)


def _check_kind(folder: Path, config: Mapping[str, Any]) -> None:
    kind = config.get("model_type")
    if not isinstance(kind, str) or not _NAME.fullmatch(kind):
        raise ModelFileError(f"{folder} does not say what it is.", f"Its model_type is {kind!r:.60}.", "")
    if config.get("model_file") is not None:
        raise UnsupportedModel(
            f"{folder} needs code that comes with the model.", "Such code is never run.", "Choose another model."
        )
    module = engine.engine().models.MODEL_REMAPPING.get(kind, kind)
    if importlib.util.find_spec(f"mlx_lm.models.{module}") is None:
        raise UnsupportedModel(
            f"mlx-lm does not know models of the kind {kind!r}.",
            f"This is mlx-lm {engine.version()}.",
            "A newer one may: update pajamas-mlx. Or convert the model for another backend.",
        )
