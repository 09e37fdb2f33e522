"""The library's face for one loaded model.

What answers prompts is imported by the methods that need it: loading, tokenizing and scoring do without templates.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, Unpack

from pajamas.errors import UnsupportedFeature
from pajamas.keywords import LoadKeywords, RequestKeywords, check_texts, generate_request, load_options
from pajamas.operations import loading
from pajamas.operations.fitting import check_fit
from pajamas.plugins import PluginHost
from pajamas.progress import NO_PROGRESS, Progress
from pajamas.types import Chunk, Feature

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pajamas.operations.generation import GenerateResult
    from pajamas.types import Artifact, Session


class Runtime:
    """A model, loaded until it is closed.

    >>> with pajamas.Runtime("models/tiny") as model:
    ...     print(model.generate("What is 2+2?", max_tokens=50).text)

    Args:
        path: a file, a folder, a Hub id, an alias, or an artifact exactly; None is the default model.
        backend: a backend's name or a device word ("cuda", "metal", "cpu"); None lets the format decide.
        isolated: keep the model in a child process, so that an engine that crashes does not take this one along.
        needs: features that requests will need; a backend that lacks one is not chosen.
        progress: what is told how far a download is.
        host: the plugins to use instead of all that are installed.
        options: fields of `types.LoadOptions`, such as context_length, threads, gpu_layers.

    Raises:
        UsageError: there is no such option.
        NotEnoughMemory: weights and key/value cache do not fit what is free.
        PajamasError: what `operations.loading.select` and the backend's `load` raise.
    """

    def __init__(
        self,
        path: str | Path | Artifact | None = None,
        backend: str | None = None,
        *,
        isolated: bool = False,
        needs: Iterable[Feature] = (),
        progress: Progress = NO_PROGRESS,
        host: PluginHost | None = None,
        **options: Unpack[LoadKeywords],
    ) -> None:
        load = load_options(options)
        loading.check_device(backend, load)
        self._host = host or PluginHost()
        needed = loading.load_features(load) | frozenset(needs)
        selection = loading.select(path, backend, needed, progress=progress, host=self._host)
        self.artifact: Artifact = selection.artifact
        self.reasons: tuple[str, ...] = selection.choice.reasons
        """Why this backend was chosen, a sentence each."""
        check_fit(self._host, selection.artifact, selection.choice, load)
        self.session: Session = loading.open_selection(selection, load, isolated=isolated)

    def generate(self, prompt: str | None = None, **options: Unpack[RequestKeywords]) -> GenerateResult:
        """The whole answer: the join of `stream`, with the same arguments and errors."""
        from pajamas.operations import generation

        return generation.join(self.stream(prompt, **options))

    def stream(self, prompt: str | None = None, **options: Unpack[RequestKeywords]) -> Iterator[Chunk]:
        """Answer as it is computed; the request is checked and rendered before this returns.

        Args:
            prompt: sent as a user message where the model has a chat template, unless `raw=True`.
            options: fields of `types.GenerateRequest` (messages, max_tokens, stop, mode, tools, ...) and of
                `types.Sampling` (temperature, top_k, seed, ...).

        Raises:
            UsageError: there is no such option, or its value makes no sense.
            UnsupportedFeature: the backend or the model cannot honour an option.
            TemplateError: the chat template fails on these messages.
            ContextOverflow, EngineError: from the stream.
        """
        from pajamas.operations import generation

        return generation.stream(self.session, generate_request({**options, "prompt": prompt}), host=self._host)

    def check(self, prompt: str | None = None, **options: Unpack[RequestKeywords]) -> None:
        """Raise what `stream` would raise before its first token."""
        # The stream is lazy: one that is dropped before its first chunk has computed nothing.
        self.stream(prompt, **options)

    def tokenize(self, text: str, *, add_special: bool = True, parse_special: bool = True) -> list[int]:
        return self.session.tokenize(text, add_special=add_special, parse_special=parse_special)

    def detokenize(self, token_ids: list[int]) -> str:
        return self.session.detokenize(token_ids)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One unit vector a text, float32 [len(texts), size]; the model must be loaded with `embeddings=True`.

        Raises:
            UsageError: `texts` is one text.
            UnsupportedFeature: it was loaded to generate, or the backend cannot embed.
            ContextOverflow: a text does not fit the context.
        """
        check_texts(texts)
        if Feature.EMBEDDINGS not in self.session.features:
            raise UnsupportedFeature(
                "This model was loaded to generate, not to embed.",
                "A session does one or the other.",
                "Load it with embeddings=True.",
            )
        return self.session.embed(list(texts))

    def score(self, token_ids: Sequence[int], first: int = 0) -> Iterator[NDArray[np.float32]]:
        """Blocks of next-token log-probabilities for positions `first` on: float32 [rows, n_vocab], normalised.

        Raises:
            UnsupportedFeature: the backend does not score.
            UsageError: a token or `first` is out of range.
            ContextOverflow: the tokens do not fit the context.
        """
        from pajamas.operations import generation

        generation.check_features(self._host, self.session, [Feature.SCORE])
        return self.session.score(list(token_ids), first)

    def save_prompt_cache(self, path: str | Path) -> None:
        """Write what is computed of the last prompt and its answer, to go on from in another process.

        Raises:
            UnsupportedFeature: the backend cannot.
            UsageError: nothing is computed yet.
            EngineError: the file cannot be written.
        """
        from pajamas.operations import generation

        generation.check_features(self._host, self.session, [Feature.PROMPT_CACHE])
        self.session.save_prompt_cache(Path(path).expanduser())

    def load_prompt_cache(self, path: str | Path) -> int:
        """Restore what `save_prompt_cache` wrote; how many tokens that is.

        Raises:
            UnsupportedFeature: the backend cannot.
            ModelFileError: the file is damaged.
            UsageError: another model or other options made it.
            ContextOverflow: it is longer than the context.
        """
        from pajamas.operations import generation

        generation.check_features(self._host, self.session, [Feature.PROMPT_CACHE])
        return self.session.load_prompt_cache(Path(path).expanduser())

    def close(self) -> None:
        """Free the model; closing it again does nothing."""
        self.session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
