"""The engine itself, without pajamas: a loop over its decode call, and its own way to load."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path
from typing import Any

import numpy as np

from pajamas_gguf import engine
from pajamas_gguf.probe import probe

PROMPT = tuple(range(1000, 1032))


def load(path: Path) -> Any:
    """A model with the engine's defaults, but for what this machine's build cannot do."""
    lib = engine.library()
    params = lib.llama_model_default_params()
    params.use_extra_bufts = probe().extra_buffers
    return lib.llama_model_load_from_file(str(path).encode(), params)


def new_context(model: Any, *, length: int, threads: int) -> Any:
    """One sequence of `length` tokens, and one row of logits."""
    lib = engine.library()
    params = lib.llama_context_default_params()
    params.n_ctx, params.n_outputs_max = length, 1
    params.n_threads = params.n_threads_batch = threads
    return lib.llama_init_from_model(model, params)


def decode(model: Any, context: Any, count: int) -> float:
    """Tokens a second after the first one: llama_decode in a loop with the arg-max by numpy, and nothing else."""
    lib = engine.library()
    lib.llama_memory_clear(lib.llama_get_memory(context), False)
    prompt = (ctypes.c_int32 * len(PROMPT))(*PROMPT)
    lib.llama_decode(context, lib.llama_batch_get_one(prompt, len(prompt)))
    size = lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(model))
    token = (ctypes.c_int32 * 1)()
    batch = lib.llama_batch_get_one(token, 1)
    logits = np.ctypeslib.as_array(lib.llama_get_logits_ith(context, -1), (size,))
    token[0] = int(logits.argmax())
    began = time.perf_counter()
    for _ in range(count - 1):
        lib.llama_decode(context, batch)
        lib.llama_get_logits_ith(context, -1)
        token[0] = int(logits.argmax())
    return (count - 1) / (time.perf_counter() - began)
