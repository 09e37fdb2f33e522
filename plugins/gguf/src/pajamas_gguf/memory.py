"""How much memory a model will take, before it is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import asdict

from pajamas.errors import EngineError
from pajamas.types import LoadOptions, MemoryUse
from pajamas_gguf import checkup, probe


def predict(gguf_path: Path, contexts: tuple[int, ...]) -> Mapping[int, int]:
    """Context length (tokens) to bytes for weights, key/value cache (f16) and compute buffers.

    The engine itself says it, in a child process: it loads the file's header, lays out every buffer and allocates
    none. So it holds for every architecture that the engine knows, and the file may be a header with a hole for its
    data. Weights count with their size in the file; a session's own figure differs from the prediction by less than
    1 % where the engine repacks weights for this CPU, and by nothing but rounding (0.01 MiB a buffer) elsewhere.

    Raises:
        ModelFileError, UnsupportedModel: the engine refuses the file, or does not know its kind.
        EngineError: it cannot make a context of such a length.
        EngineMissing: there is no engine.
    """
    uses = checkup.check(
        gguf_path, LoadOptions(), contexts, trained_context=0, extra_buffers=extra_buffers(), compute=False
    )
    return {context: use.total for context, use in uses.items()}


def extra_buffers() -> bool:
    """Whether a session on this machine would repack the weights for its CPU."""
    found = probe.probed()
    return found is None or found.extra_buffers


def measure(gguf_path: Path, contexts: Sequence[int], *, extra_buffers: bool) -> Mapping[int, int]:
    """As `predict`, but in this process, which the engine may abort.

    Raises:
        as `predict`.
    """
    request = {
        "options": asdict(LoadOptions()), "contexts": contexts, "trained": 0, "extra_buffers": extra_buffers,
        "compute": False,
    }  # fmt: skip
    found = checkup.examine(gguf_path, request)
    if "refused" in found:
        raise checkup.refused(gguf_path, found["refused"])
    if "no_context" in found:
        raise EngineError("llama.cpp cannot make a context for this model.", found["no_context"])
    return {context: MemoryUse(**use).total for context, use in found["memory"].items()}
