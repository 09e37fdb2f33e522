"""What a model is, whoever can read it."""

from __future__ import annotations

import logging

from pajamas.architecture import detect_architecture
from pajamas.architecture_gguf import is_companion
from pajamas.errors import UnsupportedModel
from pajamas.hub_files import WEIGHT_SUFFIXES, side_files
from pajamas.modelfiles import ModelFiles
from pajamas.plugins import PluginHost
from pajamas.types import Architecture

log = logging.getLogger(__name__)


def detect(host: PluginHost, files: ModelFiles) -> Architecture:
    """What the files are: core's own answer; for files that core cannot read, the backends', which must agree.

    Raises:
        UnsupportedModel: nobody can read them, or backends read them differently.
        ModelFileError: a header is damaged.
    """
    known = detect_architecture(files)
    if known is not None:
        return known
    answers: dict[str, Architecture] = {}
    for backend in host.working_backends():
        try:
            answer = backend.detect_architecture(files)
        except Exception as error:  # guarded: one backend that raises must not silence the others
            log.warning("Backend %s failed to read %s: %s", backend.name, files.origin, error)
            continue
        if answer is not None:
            answers[backend.name] = answer
    if any(answer != next(iter(answers.values())) for answer in answers.values()):
        raise UnsupportedModel(
            f"It is not clear what {files.origin} is.",
            f"Backends {' and '.join(answers)} read it differently.",
            "Disable the one that is wrong: PAJAMAS_DISABLE_PLUGINS=NAME",
        )
    if not answers:
        raise UnsupportedModel(
            f"{files.origin} is not a model that pajamas can read.",
            _why_unknown(files),
            "Name a Hugging Face model, a GGUF file, or an artifact of an installed backend.",
        )
    return next(iter(answers.values()))


def _why_unknown(files: ModelFiles) -> str:
    names = files.sizes()
    ggufs = [name for name in names if name.endswith(".gguf")]
    if "config.json" in names:
        return "Its config.json names no model_type."
    if len(ggufs) == 1 and is_companion(ggufs[0]):
        return "A projector, an importance matrix or a draft head belongs to a model, and is none itself."
    if len(ggufs) == 1:
        return "Its GGUF header names no architecture."
    if ggufs:
        return f"It holds {len(ggufs)} GGUF files, and it is not clear which one is meant."
    return "It has neither a config.json nor a GGUF header, and no installed backend knows it."


def weight_sizes(files: ModelFiles) -> dict[str, int]:
    """Weight files to their bytes; of a format that core does not know, everything that describes no model."""
    sizes = files.sizes()
    known = {name: size for name, size in sizes.items() if name.endswith(WEIGHT_SUFFIXES)}
    described = side_files(sizes)
    return known or {name: size for name, size in sizes.items() if name not in described}
