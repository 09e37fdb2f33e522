"""A GGUF file's header in the engine's own structures: before and after a quantization, exact to the byte.

It mirrors what llama_model_quantize_impl (src/llama-quant.cpp of llama.cpp) does to the metadata.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable, Mapping, Sequence
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


class PlanFile:
    """One model as one file, all parts of a split one joined. Use it only in a process that may die and frees nothing.

    :param added: [key, text or number] pairs for the metadata; numbers become u32, as the quantizer writes them.

    Raises:
        OSError: the file cannot be written.
        ValueError: the engine refuses a source; types for other tensors than it has.
    """

    def __init__(self, sources: Sequence[str], added: Sequence[Sequence[Any]] = (), *, realign: bool) -> None:
        from pajamas_gguf.engine import last_error

        self._ggml = ggml = _functions()
        self._keys = ggml.gguf_init_empty()
        self._tensors: dict[str, int] = {}
        self._types: Mapping[str, str] | None = None
        for number, source in enumerate(sources):
            context = ctypes.c_void_p()
            part = ggml.gguf_init_from_file(os.fsencode(source), _InitParams(True, ctypes.pointer(context)))
            if not part:
                raise ValueError(last_error())
            if number == 0:
                ggml.gguf_set_kv(self._keys, part)
            for index in range(ggml.gguf_get_n_tensors(part)):
                name = ggml.gguf_get_tensor_name(part, index)
                self._tensors[name.decode()] = ggml.ggml_get_tensor(context, name)
        for key in _SPLIT_KEYS:
            ggml.gguf_remove_key(self._keys, key)
        for key, value in added:
            if isinstance(value, str):
                ggml.gguf_set_val_str(self._keys, key.encode(), value.encode())
            else:
                ggml.gguf_set_val_u32(self._keys, key.encode(), value)
        if realign:
            ggml.gguf_set_val_u32(self._keys, b"general.alignment", _ALIGNMENT)

    def without_vocabulary(self, size_key: str, size: int, lists: Iterable[str]) -> PlanFile:
        """The same without the keys `lists`, its vocabulary: of that only the size is left, under `size_key`."""
        lean = object.__new__(PlanFile)
        lean._ggml, lean._tensors, lean._types = self._ggml, self._tensors, self._types
        lean._keys = self._ggml.gguf_init_empty()
        self._ggml.gguf_set_kv(lean._keys, self._keys)
        for key in lists:
            self._ggml.gguf_remove_key(lean._keys, key.encode())
        self._ggml.gguf_set_val_str(lean._keys, b"tokenizer.ggml.model", b"no_vocab")
        self._ggml.gguf_set_val_u32(lean._keys, size_key.encode(), size)
        return lean

    def quantize(self, types: Mapping[str, str], ftype: int) -> None:
        """Give every tensor its new type; `types` has them by name, in the order of writing."""
        if self._tensors.keys() != types.keys():
            raise ValueError(f"the engine told of {len(types)} tensors, the file has {len(self._tensors)}")
        self._ggml.gguf_set_val_u32(self._keys, b"general.quantization_version", _QUANTIZATION_VERSION)
        self._ggml.gguf_set_val_u32(self._keys, b"general.file_type", ftype)
        self._types = types

    def size(self) -> int:
        """Bytes of the whole file."""
        return self._assemble()[1]

    def write(self, output: Path) -> None:
        """Write the header, then a hole where the tensors' data would be."""
        file, size = self._assemble()
        if not self._ggml.gguf_write_to_file(file, os.fsencode(output), True):
            raise OSError(f"cannot write {output}")
        os.truncate(output, size)

    def _assemble(self) -> tuple[int, int]:
        """A gguf_context with keys and tensors, and the file's size."""
        ggml, file = self._ggml, self._ggml.gguf_init_empty()
        ggml.gguf_set_kv(file, self._keys)
        for name in self._types or self._tensors:
            ggml.gguf_add_tensor(file, self._tensors[name])
            if self._types is not None:
                ggml.gguf_set_tensor_type(file, name.encode(), TYPE_IDS[self._types[name]])
        size = ggml.gguf_get_meta_size(file)
        for index in range(len(self._tensors)):
            size += -(-ggml.gguf_get_tensor_size(file, index) // _ALIGNMENT) * _ALIGNMENT
        return file, size


def _functions() -> Any:
    """The functions used here, with the types of ggml/include/gguf.h and ggml.h."""
    from pajamas_gguf.engine import symbol

    pointer, text, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t
    declared: tuple[tuple[Any, ...], ...] = (
        ("gguf_init_empty", pointer),
        ("gguf_init_from_file", pointer, text, _InitParams),
        ("gguf_set_kv", None, pointer, pointer),
        ("gguf_set_val_u32", None, pointer, text, ctypes.c_uint32),
        ("gguf_set_val_str", None, pointer, text, text),
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
