"""A loaded model, as every backend offers it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from attrs import frozen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pajamas.answers import Chunk
    from pajamas.requests import GenerateRequest, Sampling
    from pajamas.types import Architecture, Feature


@frozen(kw_only=True)
class MemoryUse:
    """Bytes, as the engine reports them."""

    weights: int
    kv_cache: int
    compute: int

    @property
    def total(self) -> int:
        return self.weights + self.kv_cache + self.compute


class Session(Protocol):
    """A loaded model. One session serves one caller at a time unless it declares `Feature.PARALLEL`."""

    @property
    def backend(self) -> str: ...
    @property
    def architecture(self) -> Architecture: ...
    @property
    def context_length(self) -> int: ...
    @property
    def features(self) -> frozenset[Feature]: ...
    @property
    def memory(self) -> MemoryUse: ...
    @property
    def chat_template(self) -> str | None: ...
    @property
    def special_tokens(self) -> Mapping[str, str]:
        """Texts of the tokens that templates name: "bos_token", "eos_token", "pad_token", "unk_token"."""
        ...

    @property
    def default_sampling(self) -> Sampling:
        """What the model's own files recommend (generation_config, GGUF `general.sampling.*`); empty if nothing."""
        ...

    def tokenize(self, text: str, *, add_special: bool = True, parse_special: bool = True) -> list[int]: ...
    def detokenize(self, token_ids: list[int]) -> str: ...
    def generate(self, request: GenerateRequest) -> Iterator[Chunk]:
        """A lazy stream of raw text; closing it early frees the session at once.

        Raises:
            ContextOverflow: the prompt does not fit the context; nothing was computed.
            UnsupportedFeature: the request needs what `features` lacks.
        """
        ...

    def score(self, token_ids: list[int], first: int = 0) -> Iterator[NDArray[np.float32]]:
        """Blocks of next-token log-probabilities for positions `first` on: float32, [rows, n_vocab], normalised."""
        ...

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        """One unit vector a text, [len(texts), size], pooled as the model's metadata says."""
        ...

    def save_prompt_cache(self, path: Path) -> None: ...
    def load_prompt_cache(self, path: Path) -> int:
        """Restore what `save_prompt_cache` wrote; how many tokens that is."""
        ...

    def close(self) -> None: ...
