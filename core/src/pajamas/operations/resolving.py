"""From what a person typed to a source: aliases of plugins and of the user, then the parser."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from pajamas import aliases, manifest, settings
from pajamas.aliases import Aliases
from pajamas.errors import DownloadError, ModelNotFound, Unsupported, UsageError
from pajamas.operations.recognizing import file_format
from pajamas.plugins import PluginHost
from pajamas.source import Source, follow_aliases, parse_source

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger(__name__)


def default_model() -> str:
    """What is meant where no model is named: the configuration's, else `aliases.DEFAULT_MODEL`."""
    return settings.load().model or aliases.DEFAULT_MODEL


def names_default(operation: Callable[P, R]) -> Callable[P, R]:
    """For an operation with an argument `model`: an error about one that nobody named says where it comes from."""

    @functools.wraps(operation)
    def named(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return operation(*args, **kwargs)
        except (ModelNotFound, DownloadError, Unsupported) as error:
            if inspect.signature(operation).bind(*args, **kwargs).arguments.get("model") is None:
                error.why = f"No model was named, and {default_model()} is the default. {error.why}".strip()
            raise

    return named


def known_aliases(host: PluginHost) -> Aliases:
    """Every alias; the user's own win over those of plugins."""
    return aliases.merge(host.aliases(), settings.load().aliases)


def resolve(host: PluginHost, model: str | Path | None, backend: str | None = None) -> Source:
    """The source that `model` names; the default model for None.

    Args:
        backend: what `--backend` said: a file that core does not know is this backend's or nobody's.

    Raises:
        ModelNotFound: it is neither an alias, nor a path that exists, nor a Hub id.
        UsageError: it is not written as any of these, aliases stand for each other, or backends differ about a file.
        PluginConflict: it is an alias that plugins give different sources.
    """
    if isinstance(model, str) and not model.strip():
        raise UsageError("The model's name is empty.", "", "Leave it out for the default model.")
    recognize = partial(file_format, host, backend=backend)
    if isinstance(model, Path):
        source = parse_source(model, file_format=recognize)
    else:
        model = model or default_model()
        offered = known_aliases(host)
        for error in offered.broken:
            log.warning("%s %s", error.what, error.fix)
        final = follow_aliases(model, offered.known)
        for name in (final, final.rpartition(":")[0]):
            if name in offered.conflicts:
                raise offered.conflicts[name]
        source = parse_source(final, offered.known, recognize)
    log.info("The model %s is %s.", model, source.text)
    return source


def resolve_whole(host: PluginHost, model: str | Path | None) -> Source:
    """As `resolve`, for what takes a model and not one of the artifacts that were made from it.

    Raises:
        UsageError: besides, `model` names an artifact of a folder by its scheme, or a folder of artifacts.
        ModelFileError: the folder's manifest is damaged.
    """
    source = resolve(host, model)
    if source.kind == "folder" and source.quant:
        raise UsageError(
            f"{str(model)!r} names an artifact, and here the model itself is asked for.",
            f"{source.text} is a folder, and :{source.quant} one of the artifacts made from it.",
            f"Leave :{source.quant} out, or name the artifact's file.",
        )
    if source.kind == "folder" and source.path is not None:
        _refuse_output(source.text, source.path)
    return source


def _refuse_output(text: str, folder: Path) -> None:
    """Raises UsageError for a folder with a manifest that holds no model by itself."""
    if not (folder / manifest.FILE_NAME).is_file() or (folder / "config.json").is_file() or any(folder.glob("*.gguf")):
        return
    originals = list(dict.fromkeys(receipt.source.text for receipt in manifest.read(folder).artifacts))
    raise UsageError(
        f"{text} is a folder of artifacts that `pajamas convert` wrote, and here a model itself is asked for.",
        f"They were made from {' and '.join(originals)}." if originals else "Its manifest lists none.",
        f"Name the original: {originals[0]}" if originals else "Name the original.",
    )


def model_name(host: PluginHost, model: str | Path | None, source: Source) -> str:
    """The name for files and metadata: an alias of a local folder names it better than the folder does."""
    if source.kind == "folder" and isinstance(model, str) and model in known_aliases(host).known:
        return model
    return source.name
