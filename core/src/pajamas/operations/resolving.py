"""From what a person typed to a source: aliases of plugins and of the user, then the parser."""

from __future__ import annotations

import logging

from pajamas import aliases, settings
from pajamas.errors import UsageError
from pajamas.plugins import PluginHost
from pajamas.source import Source, parse_source

log = logging.getLogger(__name__)


def known_aliases(host: PluginHost) -> dict[str, str]:
    """Every alias; the user's own win over those of plugins."""
    return aliases.merge(host.aliases(), settings.load().aliases)


def resolve(host: PluginHost, model: str | None) -> Source:
    """The source that `model` names; the default model for None.

    Raises:
        ModelNotFound: it is neither an alias, nor a path that exists, nor a Hub id.
        UsageError: it is not written as any of these.
    """
    if model is not None and not model.strip():
        raise UsageError("The model's name is empty.", "", "Leave it out for the default model.")
    text = model or settings.load().model or aliases.DEFAULT_MODEL
    source = parse_source(text, known_aliases(host))
    log.info("The model %s is %s.", text, source.text)
    return source


def model_name(host: PluginHost, model: str | None, source: Source) -> str:
    """The name for files and metadata: an alias of a local folder names it better than the folder does."""
    if source.kind == "folder" and model and model in known_aliases(host):
        return model
    return source.name
