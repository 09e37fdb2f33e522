"""From an artifact to a session."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from attrs import asdict

from pajamas.errors import EngineError, ModelFileError, UsageError
from pajamas_gguf import checkup, engine
from pajamas_gguf.parameters import resolve
from pajamas_gguf.probe import build_key, cache_folder, probe
from pajamas_gguf.session import remembered
from pajamas_gguf.session.facts import Facts, read_facts
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
        UnsupportedModel: llama.cpp or this backend has no use for such a model.
        UnsupportedFeature, UsageError: an option that cannot be honoured; a model that only embeds is to generate.
    """
    facts = remembered.recall(artifact.path) or read_facts(artifact.path)
    path = facts.parts[0]
    engine.library()
    build = probe()
    if build.unavailable:
        why = f"{build.unavailable[0].upper()}{build.unavailable[1:]}."
        raise EngineError("llama.cpp does not work here.", why, "`pajamas doctor` says what to do.")
    parameters = resolve(options, facts.trained_context, extra_buffers=build.extra_buffers)
    if facts.positions is not None and parameters.context_length > facts.positions:
        # The engine would abort the process at the first token beyond.
        raise UsageError(
            f"A context of {parameters.context_length:,} tokens is too long for {path.name}.",
            f"It has learned {facts.positions:,} positions, and there is no other.",
            "Ask for less.",
        )
    try:
        _check_once(facts, options, parameters.context_length, extra_buffers=build.extra_buffers)
    except OSError as error:
        raise ModelFileError(f"{path.name} was there and is gone.", str(error), "Check the path.") from error
    session = GGUFSession(path, facts, parameters)
    if facts.end_tokens is None:
        remembered.remember(facts, session.end_tokens)
    return session


def _check_once(facts: Facts, options: LoadOptions, context: int, *, extra_buffers: bool) -> None:
    """`checkup.check`, remembered for the same files by their place, size and time of change."""
    path = facts.parts[0]
    states = [(status.st_size, status.st_mtime_ns) for status in (part.stat() for part in facts.parts)]
    known = [build_key(), str(path.resolve()), states, asdict(options), context]
    name = hashlib.sha256(json.dumps(known).encode()).hexdigest()[:32]
    mark = cache_folder() / "checked" / name
    if mark.is_file():
        return
    checkup.check(path, options, (context,), facts.trained_context, extra_buffers=extra_buffers)
    try:
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    except OSError:  # a cache that cannot be written costs the next load half a second
        return
