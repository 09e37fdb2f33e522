"""What a model is, whoever can read it."""

from __future__ import annotations

import logging

from pajamas.architecture import detect_architecture
from pajamas.errors import UnsupportedModel
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
            "It has neither a config.json nor a GGUF header.",
            "Name a Hugging Face model or a GGUF file.",
        )
    return next(iter(answers.values()))


def weights_size(files: ModelFiles) -> int:
    """Bytes of weight files, as they lie in the source."""
    sizes = files.sizes()
    return sum(size for name, size in sizes.items() if name.endswith((".safetensors", ".gguf")))
