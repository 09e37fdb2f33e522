"""The header of the file that a quantization would write, made with the engine's own GGUF functions.

It mirrors what llama_model_quantize_impl (src/llama-quant.cpp of llama.cpp) does to the metadata, so its size is exact.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pajamas_gguf.schemes import TYPE_IDS

_ALIGNMENT = 32
_QUANTIZATION_VERSION = 2  # GGML_QNT_VERSION
_SPLIT_KEYS = (b"split.no", b"split.count", b"split.tensors.count")


class _InitParams(ctypes.Structure):
    """struct gguf_init_params"""

    _fields_ = (("no_alloc", ctypes.c_bool), ("ctx", ctypes.POINTER(ctypes.c_void_p)))


def write_plan(sources: Sequence[str], types: Mapping[str, str], ftype: int, realign: bool, output: Path) -> None:
    """Write `output`: the header, then a hole where the tensors' data would be.

    `types` maps every tensor's name to its new type, in the order of writing. Call it only in a process that may die.
    """
    ggml = _functions()
    file = ggml.gguf_init_empty()
    tensors: dict[str, int] = {}
    for number, source in enumerate(sources):
        context = ctypes.c_void_p()
        part = ggml.gguf_init_from_file(os.fsencode(source), _InitParams(True, ctypes.pointer(context)))
        if number == 0:
            ggml.gguf_set_kv(file, part)
        for index in range(ggml.gguf_get_n_tensors(part)):
            name = ggml.gguf_get_tensor_name(part, index)
            tensors[name.decode()] = ggml.ggml_get_tensor(context, name)
    if tensors.keys() != types.keys():
        raise ValueError(f"the engine told of {len(types)} tensors, the file has {len(tensors)}")
    ggml.gguf_set_val_u32(file, b"general.quantization_version", _QUANTIZATION_VERSION)
    ggml.gguf_set_val_u32(file, b"general.file_type", ftype)
    for key in _SPLIT_KEYS:
        ggml.gguf_remove_key(file, key)
    if realign:
        ggml.gguf_set_val_u32(file, b"general.alignment", _ALIGNMENT)
    for name, kind in types.items():
        ggml.gguf_add_tensor(file, tensors[name])
        ggml.gguf_set_tensor_type(file, name.encode(), TYPE_IDS[kind])
    size = ggml.gguf_get_meta_size(file)
    for index in range(len(types)):
        size += -(-ggml.gguf_get_tensor_size(file, index) // _ALIGNMENT) * _ALIGNMENT
    if not ggml.gguf_write_to_file(file, os.fsencode(output), True):
        raise OSError(f"cannot write {output}")
    with output.open("r+b") as stream:
        stream.truncate(size)


def _functions() -> Any:
    """The functions used here, with the types of ggml/include/gguf.h and ggml.h."""
    from pajamas_gguf.engine import symbol

    pointer, text, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t
    declared: tuple[tuple[Any, ...], ...] = (
        ("gguf_init_empty", pointer),
        ("gguf_init_from_file", pointer, text, _InitParams),
        ("gguf_set_kv", None, pointer, pointer),
        ("gguf_set_val_u32", None, pointer, text, ctypes.c_uint32),
        ("gguf_remove_key", ctypes.c_int64, pointer, text),
        ("gguf_get_n_tensors", ctypes.c_int64, pointer),
        ("gguf_get_tensor_name", text, pointer, ctypes.c_int64),
        ("gguf_get_tensor_size", size, pointer, ctypes.c_int64),
        ("gguf_add_tensor", None, pointer, pointer),
        ("gguf_set_tensor_type", None, pointer, text, ctypes.c_int),
        ("gguf_get_meta_size", size, pointer),
        ("gguf_write_to_file", ctypes.c_bool, pointer, text, ctypes.c_bool),
        ("ggml_get_tensor", pointer, pointer, text),
    )
    return SimpleNamespace(**{name: symbol(name, arguments, result) for name, result, *arguments in declared})
