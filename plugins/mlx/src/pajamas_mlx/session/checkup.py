"""Whether the engine survives a model: tried in a child process, once for each state of its files.

Headers can be sound, and the model still end the process: MLX computes in threads of its own, where an exception is the
end. The child loads the model, computes two tokens and one more, and says what came of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
from pathlib import Path
from typing import Any

from attrs import asdict

from pajamas.errors import (
    EngineError,
    ModelFileError,
    NotEnoughMemory,
    PajamasError,
    UnsupportedFeature,
    error_class,
)
from pajamas.types import MemoryUse
from pajamas_mlx import child, engine
from pajamas_mlx.batching.trial import computes_together
from pajamas_mlx.model_classes import refuse_fused_experts
from pajamas_mlx.parameters import Parameters
from pajamas_mlx.session.facts import Facts

_TIMEOUT = 180.0
_SLOWEST_DISK = 20e6  # bytes a second
_MODULE = "pajamas_mlx.session.checkup"
_SAID = {True: "together", False: "one by one"}


def check_once(facts: Facts, parameters: Parameters) -> bool:
    """Raise what the trial finds; a good end is remembered for the same files, by their sizes and times of change.

    Returns whether mlx-lm computes several answers together as it computes each alone.

    Raises:
        NotEnoughMemory: the weights are larger than the machine's memory.
        UnsupportedModel: its experts are stored in a way that mlx-lm's model does not read.
        ModelFileError: the engine refuses the model, or dies of it.
        UnsupportedFeature: it cannot be computed in that type.
    """
    _check_memory(facts, parameters.plan.compute_dtype)
    request = {"device": parameters.device, "plan": asdict(parameters.plan)}
    mark = _folder() / _key(facts, request)
    with contextlib.suppress(OSError):
        known = mark.read_text(encoding="ascii")
        if known in _SAID.values():
            return known == _SAID[True]
    answer = child.ask(_MODULE, request, _TIMEOUT + facts.size / _SLOWEST_DISK)
    if error := answer.get("error"):
        raise error_class(error[0])(*error[1:])
    why = answer.get("refused") or answer.get("died")
    if why and parameters.plan.kv_bits is not None:
        raise UnsupportedFeature(
            f"This model's key/value cache cannot have {parameters.plan.kv_bits} bits.",
            str(why)[:500],
            "Leave kv_type out.",
        )
    if why:
        refuse_fused_experts(str(facts.folder), str(why))
        raise ModelFileError(
            f"MLX cannot load {facts.folder}.", str(why)[:500], "It is damaged, or not what this mlx-lm reads."
        )
    together = answer.get("together") is True
    with contextlib.suppress(OSError):  # a cache that cannot be written costs the next load two seconds
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.write_text(_SAID[together], encoding="ascii")
    return together


def _check_memory(facts: Facts, compute_dtype: str | None) -> None:
    """A process that asks for more than there is may be killed without a word."""
    needed = facts.size
    if compute_dtype == "float32":
        needed = sum(entry.size * (2 if entry.dtype in ("F16", "BF16") else 1) for entry in facts.tensors.values())
    there = _physical()
    if needed > there:
        raise NotEnoughMemory(
            f"{facts.folder} is too large for this machine.",
            f"Its weights take {needed / 1e9:.1f} GB, and there are {there / 1e9:.1f} GB.",
            "Use a smaller scheme or model.",
        )


def check_cache(memory: MemoryUse, folder: Path) -> None:
    """Raises NotEnoughMemory if weights and a full key/value cache are more than the machine could ever hold."""
    there = _physical()
    if memory.weights + memory.kv_cache > there:
        raise NotEnoughMemory(
            f"{folder} does not fit this machine's memory with so much context.",
            f"Its weights take {memory.weights / 1e9:.1f} GB, the context {memory.kv_cache / 1e9:.1f} GB, and there "
            f"are {there / 1e9:.1f} GB.",
            "Ask for a shorter context or fewer sequences.",
        )


def _physical() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _folder() -> Path:
    import platformdirs

    return platformdirs.user_cache_path("pajamas") / "mlx-checked"


def _key(facts: Facts, request: dict[str, Any]) -> str:
    states = []
    for name in ("config.json", *facts.files):
        status = (facts.folder / name).stat()
        states.append((name, status.st_size, status.st_mtime_ns))
    known = [engine.version(), importlib.metadata.version("mlx"), states, request]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()[:32]


def _try(request: dict[str, Any]) -> dict[str, Any]:
    """In the child. Whether it can be computed counts, and whether two answers together are what each is alone; other
    numbers are judged where they are used.
    """
    from pajamas_mlx.session.model import Model, Plan

    def work() -> Model:
        model = Model(Plan(**request["plan"]))
        cache = model.new_cache()
        model.logits([0, 1 % model.vocabulary_size], cache)
        model.logits([0], cache)
        return model

    try:
        model = engine.compute(request["device"], work)
    except EngineError as error:
        return {"refused": error.why}
    except PajamasError as error:
        return {"error": [type(error).__name__, error.what, error.why, error.fix]}
    except Exception as error:  # mlx-lm raises anything for a config that it does not expect
        return {"refused": f"{type(error).__name__}: {error}"}
    return {"together": computes_together(model, request["device"])}


if __name__ == "__main__":
    child.answer(_try)
