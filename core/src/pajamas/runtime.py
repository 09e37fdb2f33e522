"""The library's face for one loaded model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from pajamas.keywords import generate_request, load_options
from pajamas.operations import generation, loading
from pajamas.operations.generation import GenerateResult
from pajamas.plugins import PluginHost
from pajamas.progress import NO_PROGRESS, Progress
from pajamas.types import Chunk

if TYPE_CHECKING:
    from pajamas.types import Artifact, Session


class Runtime:
    """A model, loaded until it is closed.

    >>> with pajamas.Runtime("models/tiny") as model:
    ...     print(model.generate("What is 2+2?", max_tokens=50).text)

    Args:
        path: a file, a folder, a Hub id or an alias; None is the default model.
        backend: a backend's name or a device word ("cuda", "metal", "cpu"); None lets the format decide.
        isolated: keep the model in a child process, so that an engine that crashes does not take this one along.
        progress: what is told how far a download is.
        host: the plugins to use instead of all that are installed.
        options: fields of `types.LoadOptions`, such as context_length, threads, gpu_layers.

    Raises:
        UsageError: there is no such option.
        PajamasError: what `operations.loading.select` and the backend's `load` raise.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        backend: str | None = None,
        *,
        isolated: bool = False,
        progress: Progress = NO_PROGRESS,
        host: PluginHost | None = None,
        **options: Any,
    ) -> None:
        load = load_options(options)
        self._host = host or PluginHost()
        model = None if path is None else str(path)
        selection = loading.select(model, backend, progress=progress, host=self._host)
        self.artifact: Artifact = selection.artifact
        self.reasons: tuple[str, ...] = selection.choice.reasons
        """Why this backend was chosen, a sentence each."""
        self.session: Session = loading.open_selection(selection, load, isolated=isolated)

    def generate(self, prompt: str | None = None, **options: Any) -> GenerateResult:
        """The whole answer: the join of `stream`, with the same arguments and errors."""
        return generation.join(self.stream(prompt, **options))

    def stream(self, prompt: str | None = None, **options: Any) -> Iterator[Chunk]:
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
        if prompt is not None:
            options["prompt"] = prompt
        return generation.stream(self.session, generate_request(options), host=self._host)

    def check(self, prompt: str | None = None, **options: Any) -> None:
        """Raise what `stream` would raise before its first token."""
        # The stream is lazy: one that is dropped before its first chunk has computed nothing.
        self.stream(prompt, **options)

    def tokenize(self, text: str, *, add_special: bool = True, parse_special: bool = True) -> list[int]:
        return self.session.tokenize(text, add_special=add_special, parse_special=parse_special)

    def detokenize(self, token_ids: list[int]) -> str:
        return self.session.detokenize(token_ids)

    def close(self) -> None:
        """Free the model; closing it again does nothing."""
        self.session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
