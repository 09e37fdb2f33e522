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


def new_context(model: Any, *, length: int, threads: int, sequences: int = 1) -> Any:
    """`length` tokens for all sequences, and a row of logits for each."""
    lib = engine.library()
    params = lib.llama_context_default_params()
    params.n_ctx = length
    params.n_seq_max = params.n_outputs_max = sequences
    params.kv_unified = sequences > 1
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


def decode_together(model: Any, context: Any, sequences: int, count: int) -> float:
    """Tokens a second of all sequences, each step one batch with a token of each: the most that batching can give."""
    lib = engine.library()
    lib.llama_memory_clear(lib.llama_get_memory(context), False)
    size = lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(model))
    batch = lib.llama_batch_init(sequences * len(PROMPT), 0, 1)
    tokens = [PROMPT] * sequences
    position = 0
    began = 0.0
    for _ in range(count):
        batch.n_tokens, rows = 0, []
        for number, new in enumerate(tokens):
            for offset, token in enumerate(new):
                place = batch.n_tokens
                batch.token[place], batch.pos[place] = token, position + offset
                batch.n_seq_id[place], batch.seq_id[place][0] = 1, number
                batch.logits[place] = offset == len(new) - 1
                batch.n_tokens += 1
            rows.append(batch.n_tokens - 1)
        lib.llama_decode(context, batch)
        position += len(tokens[0])
        logits = [np.ctypeslib.as_array(lib.llama_get_logits_ith(context, row), (size,)) for row in rows]
        tokens = [(int(row.argmax()),) for row in logits]
        began = began or time.perf_counter()
    seconds = time.perf_counter() - began
    lib.llama_batch_free(batch)
    return sequences * (count - 1) / seconds


def last_part(context: Any, length: int, size: int) -> float:
    """Seconds for the last `size` tokens of a prompt of `length`, after the others."""
    lib = engine.library()
    lib.llama_memory_clear(lib.llama_get_memory(context), False)
    prompt = (ctypes.c_int32 * length)(*range(1000, 1000 + length))
    if length > size:
        lib.llama_decode(context, lib.llama_batch_get_one(prompt, length - size))
        lib.llama_get_logits_ith(context, -1)
    rest = (ctypes.c_int32 * size)(*prompt[length - size :])
    began = time.perf_counter()
    lib.llama_decode(context, lib.llama_batch_get_one(rest, size))
    lib.llama_get_logits_ith(context, -1)
    return time.perf_counter() - began
