"""From an artifact to a session."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import asdict

from pajamas.errors import EngineError, UnsupportedFeature
from pajamas_gguf import checkup, engine
from pajamas_gguf.parameters import resolve
from pajamas_gguf.probe import build_key, cache_folder, probe
from pajamas_gguf.session.facts import read_facts
from pajamas_gguf.session.session import GGUFSession

if TYPE_CHECKING:
    from pajamas.types import Artifact, LoadOptions


def load(artifact: Artifact, options: LoadOptions) -> GGUFSession:
    """Load a GGUF file (of a split one: any part) with llama.cpp.

    Three things come before the weights: the header is checked strictly, the engine's build is tried on this machine
    (once for each build), and the file is tried in a child process (once for each file, build and set of options), so
    that a damaged one is an error and not the end of this process.

    Raises:
        ModelFileError: the file is missing, damaged or hostile, or no whole model.
        EngineMissing: llama-cpp-python is not installed or does not load.
        EngineError: this build does not work on this machine, or the options ask too much of it.
        DeviceNotFound: the device is not here.
        UnsupportedFeature, UsageError: an option that cannot be honoured.
    """
    path = artifact.path
    facts = read_facts(path)
    engine.library()
    build = probe()
    if build.unavailable:
        raise EngineError("llama.cpp does not work here", build.unavailable, "pajamas doctor says what to do")
    parameters = resolve(options, facts.trained_context, extra_buffers=build.extra_buffers)
    _check_once(path, options, parameters.context_length, facts.trained_context, extra_buffers=build.extra_buffers)
    session = GGUFSession(path, facts, parameters)
    if not options.embeddings and not session.can_generate:
        session.close()
        raise UnsupportedFeature(
            f"{path.name} does not generate text", "it has an encoder only", "load it for embeddings"
        )
    return session


def _check_once(path: Path, options: LoadOptions, context: int, trained_context: int, *, extra_buffers: bool) -> None:
    """`checkup.check`, remembered for the same file by its place, size and time of change."""
    status = path.stat()
    facts = [build_key(), str(path.resolve()), status.st_size, status.st_mtime_ns, asdict(options), context]
    name = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]
    mark = cache_folder() / "checked" / name
    if mark.is_file():
        return
    checkup.check(path, options, (context,), trained_context, extra_buffers=extra_buffers)
    try:
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    except OSError:  # a cache that cannot be written costs the next load half a second
        return
