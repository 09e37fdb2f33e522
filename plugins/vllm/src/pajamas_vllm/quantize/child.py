"""The program that runs in llm-compressor's environment, given by its path: there is no pajamas in it.

    python -I child.py LIFELINE      the path of pajamas' lifeline.py, which needs nothing but Python

One JSON object comes in on the first line of standard input (the fields of `runner.Task`); JSON objects go out on
standard output, one a line, each with its "event": `stage` (title, total, unit), `advance` (amount, note), `done`
(tokens, versions), `failed` (kind: the error's class; what, why, fix). When standard input ends, the parent is gone,
and so is this process.
"""

from __future__ import annotations

import errno
import importlib.metadata
import importlib.util
import json
import os
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

WINDOW = 512
"""Tokens that are calibrated with at once."""
_ROUNDING = "llmcompressor.modifiers.quantization"
_QUANTIZING = re.compile(r"Quantizing (\d+) module\(s\): \[?'?([\w.]+)?")

Emit = Callable[..., None]


class Failure(Exception):
    """Why it cannot go on: kind, what, why, fix."""


def main() -> None:
    spec = importlib.util.spec_from_file_location("lifeline", sys.argv[1])
    assert spec is not None and spec.loader is not None
    lifeline = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(lifeline)
    channel = lifeline.take_channel()
    lifeline.die_with_parent()
    lifeline.leave_no_core_file()
    task = json.loads(lifeline.first_line())
    threading.Thread(target=lifeline.watch_parent, daemon=True).start()

    def emit(event: str, **fields: Any) -> None:
        lifeline.write_all(channel, (json.dumps({"event": event, **fields}) + "\n").encode())

    try:
        emit("done", **work(task, emit))
    except Failure as error:
        kind, what, why, fix = error.args
        emit("failed", kind=kind, what=what, why=why, fix=fix)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        fix = "Free some space, and run it again."
        emit("failed", kind="NotEnoughDisk", what="The disk became full.", why=str(error), fix=fix)
    # Not through the interpreter's end, which would wait for the thread that reads standard input.
    os._exit(0)


def work(task: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Load, quantize, write. The model is in memory as a whole; a layer at a time is on the GPU, where there is one."""
    emit("stage", title="Starting llm-compressor", total=None, unit="packages")
    torch, llmcompressor, loguru = map(importlib.import_module, ("torch", "llmcompressor", "loguru"))
    modifiers = importlib.import_module("llmcompressor.modifiers.gptq" if task["text"] else _ROUNDING)
    if task["threads"] is not None:
        torch.set_num_threads(task["threads"])
    emit("stage", title="Loading the model", total=None, unit="tensors")
    model = load(task)
    windows = read_windows(task) if task["text"] is not None else []

    def heard(message: Any) -> None:
        if found := _QUANTIZING.search(str(message)):
            emit("advance", amount=int(found[1]), note=found[2] or "")

    loguru.logger.add(heard, level="INFO", format="{message}")
    emit("stage", title="Quantizing", total=len(task["layers"]) if windows else None, unit="tensors")
    kind = modifiers.GPTQModifier if windows else modifiers.QuantizationModifier
    recipe = kind(config_groups={"group_0": group_of(task)}, ignore=task["ignored"])
    llmcompressor.oneshot(model=model, recipe=recipe, log_dir=None, **dataset_of(windows))
    emit("stage", title="Writing the model", total=None, unit="bytes")
    write(model, Path(task["output"]))
    names = ("llmcompressor", "compressed-tensors", "transformers", "torch")
    versions = {name: importlib.metadata.version(name) for name in names}
    return {"tokens": sum(map(len, windows)), "versions": versions}


def load(task: dict[str, Any]) -> Any:
    """The model on the processor, checked to have the layers that were planned."""
    torch, transformers = map(importlib.import_module, ("torch", "transformers"))
    try:
        model = transformers.AutoModelForCausalLM.from_pretrained(
            task["source"], dtype=getattr(torch, task["dtype"]), trust_remote_code=False, local_files_only=True
        )
    except (ValueError, KeyError, TypeError, ImportError, RuntimeError, OSError) as error:
        why = f"{type(error).__name__}: {error}"[:500]
        fix = "Is the model verified? Other formats may take it: --formats gguf."
        raise Failure("UnsupportedModel", "transformers cannot load this model.", why, fix) from error
    linear = {name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    ignored = set(task["ignored"]) | {"lm_head"}
    if linear - ignored != set(task["layers"]):
        differ = sorted((linear - ignored) ^ set(task["layers"]))
        raise Failure(
            "UnsupportedModel",
            "This model's layers are not what its weights are called.",
            f"transformers makes other layers of it: {', '.join(differ[:5])}.",
            "Use another format: --formats gguf.",
        )
    return model.eval()


def group_of(task: dict[str, Any]) -> dict[str, Any]:
    """The scheme as compressed-tensors has it, with the group size and the rounding that were asked for."""
    schemes = importlib.import_module("compressed_tensors.quantization")
    scheme = schemes.preset_name_to_scheme(task["preset"], ["Linear"])
    if task["group_size"] is not None:
        scheme.weights.group_size = task["group_size"]
    if task["text"] is None and scheme.weights.num_bits == 4:
        scheme.weights.observer = "mse"  # the scale with the least error, where no text says what matters
    found: dict[str, Any] = scheme.model_dump()
    return found


def dataset_of(windows: list[list[int]]) -> dict[str, Any]:
    if not windows:
        return {}
    rows = {"input_ids": windows, "attention_mask": [[1] * len(window) for window in windows]}
    return {
        "dataset": importlib.import_module("datasets").Dataset.from_dict(rows),
        "max_seq_length": WINDOW,
        "num_calibration_samples": len(windows),
    }


def read_windows(task: dict[str, Any]) -> list[list[int]]:
    """Windows of tokens of the text; all but the last are whole."""
    transformers = importlib.import_module("transformers")
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            task["source"], trust_remote_code=False, local_files_only=True
        )
    except (ValueError, KeyError, TypeError, ImportError, OSError) as error:
        why = f"{type(error).__name__}: {error}"[:400]
        fix = "--precision fp8 needs no text."
        raise Failure("UnsupportedModel", "The tokenizer cannot be read.", why, fix) from error
    tokens = tokenizer(Path(task["text"]).read_text(encoding="utf-8"), verbose=False)["input_ids"]
    if len(tokens) < WINDOW:
        why = f"It has {len(tokens)} tokens, and a window is {WINDOW}."
        fix = "Give a longer text (--calibration-text FILE), or more samples."
        raise Failure("UsageError", "The text to calibrate with is too short.", why, fix)
    return [tokens[begin : begin + WINDOW] for begin in range(0, len(tokens) - WINDOW + 1, WINDOW)]


def write(model: Any, folder: Path) -> None:
    model.save_pretrained(folder, save_compressed=True)
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(0o644)  # safetensors writes files that only their owner may read


if __name__ == "__main__":
    main()
