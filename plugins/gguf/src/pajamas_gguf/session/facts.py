"""What a GGUF header says about how to use its model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from pajamas.errors import ModelFileError
from pajamas.gguf_header import GGUFHeader, read_split, split_names
from pajamas.modelfiles import LocalFiles
from pajamas.types import Sampling

_NAMES = ("bos", "eos", "pad", "unk")
_KEYS = {"bos": "bos", "eos": "eos", "pad": "padding", "unk": "unknown"}
# What llama.cpp takes for a SentencePiece vocabulary that states none.
_SENTENCEPIECE = {"bos": 1, "eos": 2, "unk": 0}
_LONGEST = 1 << 24
_POSITIONS = "position_embd.weight"


@frozen
class Facts:
    """What a checked header says."""

    parts: tuple[Path, ...]
    """The model's files in order; the engine is given the first."""
    metadata: Mapping[str, Any]
    """The (first) file's, as is `data_offset`; from memory it lacks long lists."""
    data_offset: int
    positions: int | None
    """The longest possible context in tokens, where positions are learned vectors (GPT-2, BERT)."""
    special_tokens: Mapping[str, str]
    """Texts of the tokens that templates name; one that the file does not state is left out."""
    end_tokens: frozenset[int] | None = None
    """Tokens that end an answer, if an earlier load has found them out."""
    header: GGUFHeader | None = None
    """All of the header, where it was read now."""

    @property
    def trained_context(self) -> int:
        """Tokens, 0 if the file does not say."""
        found = self.metadata.get(f"{self.metadata.get('general.architecture')}.context_length")
        return found if isinstance(found, int) and 0 < found < _LONGEST else 0

    @property
    def chat_template(self) -> str | None:
        found = self.metadata.get("tokenizer.chat_template")
        return found if isinstance(found, str) else None

    @property
    def default_sampling(self) -> Sampling:
        """What `general.sampling.*` recommends: newer converters copy it from generation_config.json."""
        return Sampling(
            temperature=self._number("temp", 0, 100),
            top_k=int(top_k) if (top_k := self._number("top_k", 0, 1 << 30)) is not None else None,
            top_p=self._number("top_p", 0, 1),
            min_p=self._number("min_p", 0, 1),
            repetition_penalty=self._number("penalty_repeat", 0.01, 100),
        )

    def _number(self, name: str, low: float, high: float) -> float | None:
        """None too for a value that would only be refused later: a recommendation must not break the model."""
        found = self.metadata.get(f"general.sampling.{name}")
        if not isinstance(found, int | float) or not low <= found <= high:
            return None
        return round(float(found), 6)  # stored in single precision: 0.6 reads as 0.60000002


def read_facts(path: Path) -> Facts:
    """Read and check a model's header, and that all of its tensors' data is there.

    Raises:
        ModelFileError: the file is missing, damaged or hostile, or holds something else than a whole model.
    """
    header = read_split(LocalFiles(path), path.name)
    kind = header.metadata.get("general.type", "model")
    architecture = header.metadata.get("general.architecture")
    if kind != "model" or architecture == "clip":
        what = "a vision projector" if architecture == "clip" else f"of type {kind!r}"
        raise ModelFileError(f"{path.name} is no language model.", f"It is {what}.", "Name the model's own file.")
    if not isinstance(architecture, str):
        raise ModelFileError(f"{path.name} names no architecture.", "general.architecture is missing.", "")
    if not header.tensors:
        raise ModelFileError(
            f"{path.name} holds a vocabulary and no weights.",
            "It is made for tests of tokenizers.",
            "Name a whole model.",
        )
    positions = next((tensor.shape[0] for tensor in header.tensors if tensor.name == _POSITIONS and tensor.shape), None)
    parts = tuple(path.with_name(name) for name in split_names(path.name))
    special_tokens = _special_tokens(header.metadata)
    return Facts(parts, header.metadata, header.data_offset, positions, special_tokens, header=header)


def _special_tokens(metadata: Mapping[str, Any]) -> dict[str, str]:
    texts = metadata.get("tokenizer.ggml.tokens", ())
    defaults = _SENTENCEPIECE if metadata.get("tokenizer.ggml.model") == "llama" else {}
    found = {}
    for name in _NAMES:
        token = metadata.get(f"tokenizer.ggml.{_KEYS[name]}_token_id", defaults.get(name))
        if isinstance(token, int) and 0 <= token < len(texts):
            found[f"{name}_token"] = texts[token]
    return found
