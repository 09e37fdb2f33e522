"""Formats that core does not know: told by what backends declare of files and folders."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from pajamas.dispatch import DEVICES
from pajamas.errors import PajamasError, UsageError
from pajamas.plugins import PluginHost
from pajamas.types import BackendInfo


def file_format(host: PluginHost, path: Path, backend: str | None = None) -> str | None:
    """The format of a file that is no GGUF, by the backends' `file_suffixes`; None if no backend takes it.

    Args:
        backend: what `--backend` said: one that is named is the only one that is asked.

    Raises:
        UsageError: backends take it for different formats.
        PluginError: the named backend is broken.
    """
    name = path.name.lower()
    return _claimed(host, lambda info: info.file_suffixes, lambda key: name.endswith(key.lower()), str(path), backend)


def folder_format(host: PluginHost, names: Collection[str], origin: str, backend: str | None = None) -> str | None:
    """The format of a folder in no layout that core knows, by the backends' `folder_markers`; None as `file_format`.

    Args:
        names: the folder's files.
        origin: the folder, for messages.

    Raises:
        UsageError, PluginError: as `file_format`.
    """
    return _claimed(host, lambda info: info.folder_markers, lambda key: key in names, origin, backend)


def _claimed(
    host: PluginHost,
    declared: Callable[[BackendInfo], Mapping[str, str]],
    fits: Callable[[str], bool],
    origin: str,
    backend: str | None,
) -> str | None:
    named = backend if backend not in DEVICES else None
    claims: dict[str, str] = {}  # backend to format
    for candidate in [host.backend(named)] if named else host.working_backends():
        try:
            formats = declared(candidate.describe())
        except PajamasError:
            if named:
                raise
            continue  # one that cannot describe itself claims nothing, and `pajamas plugins` says so
        if keys := [key for key in formats if fits(key)]:
            claims[candidate.name] = formats[max(keys, key=len)]
    if len(set(claims.values())) > 1:
        raise UsageError(
            f"It is not clear what {origin} is.",
            "; ".join(f"backend {name} takes it for {format}" for name, format in claims.items()) + ".",
            f"Say which one is meant: --backend {next(iter(claims))}",
        )
    return next(iter(claims.values()), None)
