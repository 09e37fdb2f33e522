"""A loaded model, as every backend offers it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, Self

from attrs import frozen

from pajamas.errors import UsageError
from pajamas.features import Feature
from pajamas.needs import missing_features, needed_features, refuse_missing
from pajamas.requests import Sampling

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pajamas.answers import Chunk
    from pajamas.requests import GenerateRequest
    from pajamas.types import Architecture


@frozen(kw_only=True)
class MemoryUse:
    """Bytes, as the engine reports them."""

    weights: int
    """The model."""
    kv_cache: int
    """Keys and values of the context."""
    compute: int
    """Scratch buffers."""

    @property
    def total(self) -> int:
        return self.weights + self.kv_cache + self.compute


class Session(Protocol):
    """A loaded model. One session serves one caller at a time unless it declares `Feature.PARALLEL`."""

    @property
    def backend(self) -> str:
        """The entry point's name."""
        ...

    @property
    def architecture(self) -> Architecture:
        """What the model is."""
        ...

    @property
    def context_length(self) -> int:
        """Tokens of prompt and answer together."""
        ...

    @property
    def features(self) -> frozenset[Feature]:
        """What this session honours: the backend's features, without those that the model or the options rule out."""
        ...

    @property
    def memory(self) -> MemoryUse:
        """What it occupies."""
        ...

    @property
    def chat_template(self) -> str | None:
        """The model's own Jinja template; None for a base model."""
        ...

    @property
    def special_tokens(self) -> Mapping[str, str]:
        """Texts of the tokens that templates name: "bos_token", "eos_token", "pad_token", "unk_token"."""
        ...

    @property
    def default_sampling(self) -> Sampling:
        """What the model's own files recommend (generation_config, GGUF `general.sampling.*`); empty if nothing."""
        ...

    def tokenize(self, text: str, *, add_special: bool = True, parse_special: bool = True) -> list[int]:
        """Text into tokens. `add_special` puts the tokens around it that the model expects (such as a leading bos);
        `parse_special` reads texts such as `<|im_end|>` as the tokens they name.
        """
        ...

    def detokenize(self, token_ids: list[int]) -> str:
        """Tokens into text; bytes that are no UTF-8 become U+FFFD."""
        ...

    def generate(self, request: GenerateRequest) -> Iterator[Chunk]:
        """A lazy stream of raw text; closing it early frees the session at once.

        Raises:
            ContextOverflow: the prompt does not fit the context; nothing was computed.
            UnsupportedFeature: the request needs what `features` lacks.
        """
        ...

    def score(self, token_ids: list[int], first: int = 0) -> Iterator[NDArray[np.float32]]:
        """Blocks of next-token log-probabilities for positions `first` on: float32, [rows, n_vocab], normalised.

        A block is the caller's to keep: it does not change when the next one is asked for.
        """
        ...

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        """One unit vector a text, [len(texts), size], pooled as the model's metadata says."""
        ...

    def save_prompt_cache(self, path: Path) -> None:
        """Write what is computed of the last prompt and its answer; needs `Feature.PROMPT_CACHE`."""
        ...

    def load_prompt_cache(self, path: Path) -> int:
        """Restore what `save_prompt_cache` wrote; how many tokens that is."""
        ...

    def close(self) -> None:
        """Free the model; closing it again does nothing."""
        ...


class BaseSession:
    """What sessions of most backends say alike, to inherit; a `Session` needs `tokenize`, `detokenize` and `generate`
    besides. Set the attributes without a value in the class, or for each session.
    """

    backend: str
    architecture: Architecture
    context_length: int
    features: frozenset[Feature]
    memory: MemoryUse = MemoryUse(weights=0, kv_cache=0, compute=0)
    chat_template: str | None = None
    special_tokens: Mapping[str, str] = MappingProxyType({})
    default_sampling: Sampling = Sampling()

    def refuse_unsupported(self, request: GenerateRequest) -> None:
        """Call it first in `generate`: nothing that a request asks for is ignored.

        Raises:
            UsageError: the request is not rendered: a backend takes one of `prompt` and `token_ids`.
            UnsupportedFeature: it needs what `features` lacks; each is named.
        """
        if request.messages is not None or (request.prompt is None) == (request.token_ids is None):
            raise UsageError(
                "A session needs a rendered request.",
                "It has one of prompt and token_ids, and no messages.",
                "Let pajamas render it: Runtime.generate, or pajamas.run('generate', ...).",
            )
        refuse_missing(self.backend, needed_features(request), self.features)

    def score(self, token_ids: list[int], first: int = 0) -> Iterator[NDArray[np.float32]]:
        """Raises UnsupportedFeature: define it to offer `Feature.SCORE`."""
        raise missing_features(self.backend, [Feature.SCORE], self.features)

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        """Raises UnsupportedFeature: define it to offer `Feature.EMBEDDINGS`."""
        raise missing_features(self.backend, [Feature.EMBEDDINGS], self.features)

    def save_prompt_cache(self, path: Path) -> None:
        """Raises UnsupportedFeature: define it to offer `Feature.PROMPT_CACHE`."""
        raise missing_features(self.backend, [Feature.PROMPT_CACHE], self.features)

    def load_prompt_cache(self, path: Path) -> int:
        """Raises UnsupportedFeature: define it to offer `Feature.PROMPT_CACHE`."""
        raise missing_features(self.backend, [Feature.PROMPT_CACHE], self.features)

    def close(self) -> None:
        """Does nothing: define it where there is something to free."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
