"""Whether the engine survives a file, and how much memory it takes: tried in a child process.

A header can be sound as a file and still abort the engine (a head count of zero, a negative epsilon). The child loads
all but the weights and lays out every buffer for the wanted context; then it maps the weights and computes two tokens,
because some assertions wait until then. If it dies, only it dies.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attrs import asdict

from pajamas.errors import EngineError, ModelFileError, UnsupportedFeature, UnsupportedModel
from pajamas.gguf_header import split_names
from pajamas.types import LoadOptions, MemoryUse
from pajamas_gguf import child, engine
from pajamas_gguf.memory_log import read_memory
from pajamas_gguf.parameters import resolve

_TIMEOUT = 120.0
_SLOWEST_DISK = 20e6  # bytes a second
_TRIAL_CONTEXT = 256
_UNKNOWN = ("unknown model architecture", "unknown pre-tokenizer type", "unknown tokenizer")


def check(
    path: Path,
    options: LoadOptions,
    contexts: tuple[int, ...],
    trained_context: int,
    *,
    extra_buffers: bool,
    compute: bool = True,
) -> dict[int, MemoryUse]:
    """Memory for each context length of `contexts`, if the engine accepts the file.

    :param compute: read the weights and compute with them; without it, a header is enough.

    Raises:
        ModelFileError: the engine refuses the model, or dies of it.
        UnsupportedModel: the engine does not know its kind, or this backend cannot run it.
        UnsupportedFeature: it should generate, but only embeds.
        EngineError: it accepts the model, but not these options.
    """
    request = {
        "path": str(path), "options": asdict(options), "contexts": contexts, "trained": trained_context,
        "extra_buffers": extra_buffers, "compute": compute,
    }  # fmt: skip
    size = sum(path.with_name(part).stat().st_size for part in split_names(path.name))
    found = child.run(__name__, request, _TIMEOUT + size / _SLOWEST_DISK)
    if isinstance(found, child.Crash):
        raise ModelFileError(
            f"{path.name} cannot be loaded.",
            f"llama.cpp dies of it: {found.told}.",
            "The file is damaged, or made for another version of llama.cpp: get it again.",
        )
    if "refused" in found:
        raise refused(path, found["refused"])
    if "only_embeds" in found:
        raise UnsupportedFeature(
            f"{path.name} does not generate text.", "Its tokens see those after them.", "Load it for embeddings."
        )
    if "encoder_and_decoder" in found:
        raise UnsupportedModel(
            f"{path.name} is an encoder-decoder model.", "This backend runs decoders, and encoders that embed.",
            "Choose another model.",
        )  # fmt: skip
    if "no_context" in found:
        raise EngineError(
            "llama.cpp cannot make a context for this model.",
            found["no_context"],
            "Try other options, or a shorter one.",
        )
    return {int(context): MemoryUse(**use) for context, use in found["memory"].items()}


def refused(path: Path, why: str) -> ModelFileError | UnsupportedModel:
    """The error for a file that the engine refuses in these words."""
    if any(words in why for words in _UNKNOWN):
        return UnsupportedModel(
            f"This llama.cpp does not know the model in {path.name}.", why, "A newer one may: update pajamas-gguf."
        )
    return ModelFileError(
        f"llama.cpp cannot load {path.name}.", why, "The file is damaged, or needs a newer llama.cpp: get it again."
    )


def _main() -> None:
    request = child.read_request()
    child.answer(examine(Path(request["path"]), request))


def examine(path: Path, request: dict[str, Any]) -> dict[str, Any]:
    """What `check` asks its child for. Call it only in a process that may die."""
    lib = engine.library()
    memory: dict[int, dict[str, int]] = {}
    model = None
    for length in request["contexts"]:
        options = LoadOptions(**{**request["options"], "context_length": length})
        parameters = resolve(options, request["trained"], extra_buffers=request["extra_buffers"])
        if model is None:
            params, kept = parameters.for_model(dry=True)
            model = lib.llama_model_load_from_file(str(path).encode(), params)
            del kept
            if not model:
                return {"refused": engine.last_error()}
        with engine.recorded() as lines:
            context = lib.llama_init_from_model(model, parameters.for_session())
        if not context:
            return {"no_context": engine.last_error()}
        if request["compute"]:
            # What these do when they are asked to generate is to abort the process.
            if lib.llama_model_has_encoder(model) and lib.llama_model_has_decoder(model):
                return {"encoder_and_decoder": True}
            if not parameters.embeddings and (lib.llama_model_has_encoder(model) or not lib.llama_get_memory(context)):
                return {"only_embeds": True}
        memory[length] = asdict(read_memory(lines, lib.llama_model_size(model)))
        lib.llama_free(context)
    if request["compute"]:
        _compute(path, request)
    return {"memory": memory}


def _compute(path: Path, request: dict[str, Any]) -> None:
    """A batch of two tokens and a single one. Only dying of it counts: numbers are judged where they are used."""
    lib = engine.library()
    # Mapped and not repacked: it takes no memory of its own, and reads what the session will read next.
    options = LoadOptions(**{**request["options"], "context_length": _TRIAL_CONTEXT, "device": "cpu", "gpu_layers": 0})
    parameters = resolve(options, request["trained"], extra_buffers=False)
    params, kept = parameters.for_model()
    model = lib.llama_model_load_from_file(str(path).encode(), params)
    context = lib.llama_init_from_model(model, parameters.for_session()) if model else None
    if context:
        for tokens in ((0, 1), (0,)):
            batch = lib.llama_batch_get_one((lib.llama_token * len(tokens))(*tokens), len(tokens))
            lib.llama_decode(context, batch)
    del kept


if __name__ == "__main__":
    _main()
