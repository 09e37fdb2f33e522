"""What a model's folder says about it, checked before the engine sees it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from pajamas.architecture import detect_architecture
from pajamas.errors import ModelFileError, UnsupportedModel
from pajamas.modelfiles import LocalFiles, read_json
from pajamas.safetensors_header import read_tensors
from pajamas.types import Architecture, Sampling

_LONGEST = 1 << 24
_CONTEXTS = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "model_max_length")
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "tiktoken.model")
QUANTIZATIONS = {
    "compressed-tensors": "compressed-tensors",
    "awq": "AWQ",
    "gptq": "GPTQ",
    "fp8": "FP8",
}
"""`quant_method` of config.json's quantization_config to what people call it: what is loaded besides plain weights."""


@frozen
class Facts:
    """A checked folder."""

    folder: Path
    config: Mapping[str, Any]
    generation: Mapping[str, Any]
    """generation_config.json; empty where there is none."""
    architecture: Architecture
    size: int
    """Bytes of weights."""
    quantization: str | None
    """One of `QUANTIZATIONS`, or None for plain weights."""

    @property
    def trained_context(self) -> int:
        """Tokens, 0 if the config does not say."""
        config = {**self._text, **self.config}
        found = next((config[name] for name in _CONTEXTS if isinstance(config.get(name), int)), 0)
        return found if 0 < found < _LONGEST else 0

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
        UnsupportedModel: it is quantized in a way that this backend does not load, or needs code of its own.
    """
    if not folder.is_dir():
        raise ModelFileError(f"{folder} is no folder.", "vLLM loads folders in Hugging Face layout.", "Check the path.")
    files = LocalFiles(folder)
    config = read_json(files, "config.json")
    if config is None:
        raise ModelFileError(f"{folder} holds no config.json.", "It is no whole model.", "Get the model again.")
    quantization = _quantization(folder, config)
    tensors = read_tensors(files)
    if not tensors:
        raise ModelFileError(f"{folder} holds no weights.", "There is no safetensors file.", "Get the model again.")
    if not any(name in files.sizes() for name in _TOKENIZERS):
        raise ModelFileError(f"{folder} holds no tokenizer.", "There is no tokenizer.json.", "Get the model again.")
    architecture = detect_architecture(files)
    if architecture is None:
        raise ModelFileError(f"{folder} does not say what it is.", "", "Check its config.json.")
    generation = read_json(files, "generation_config.json") or {}
    size = sum(entry.size for entry in tensors.values())
    return Facts(folder, config, generation, architecture, size, quantization)


def _quantization(folder: Path, config: Mapping[str, Any]) -> str | None:
    block = config.get("quantization_config") or config.get("compression_config")
    if block is None:
        if isinstance(config.get("quantization"), dict):
            raise UnsupportedModel(
                f"{folder} is quantized for MLX.", "vLLM does not read it.", "Use it with --backend mlx."
            )
        return None
    method = block.get("quant_method") if isinstance(block, dict) else None
    if not isinstance(method, str) or method not in QUANTIZATIONS:
        raise UnsupportedModel(
            f"{folder} is quantized in a way that is not known here: {method!r:.60}.",
            f"vLLM is used with {', '.join(QUANTIZATIONS.values())} and with weights that are not quantized.",
            "Convert the original model.",
        )
    return method
