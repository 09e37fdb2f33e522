"""ggml's tensors as the evaluation callback sees them: ggml has no functions that tell a node's operands."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pajamas.errors import EngineMissing
from pajamas_gguf import engine

_F32 = 0


class Tensor(ctypes.Structure):
    """struct ggml_tensor of ggml/include/ggml.h, as of llama-cpp-python 0.3.36; `check_layout` tries it."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("buffer", ctypes.c_void_p),
        ("ne", ctypes.c_int64 * 4),
        ("nb", ctypes.c_size_t * 4),
        ("op", ctypes.c_int),
        ("op_params", ctypes.c_int32 * 16),
        ("flags", ctypes.c_int32),
        ("src", ctypes.c_void_p * 10),
        ("view_src", ctypes.c_void_p),
        ("view_offs", ctypes.c_size_t),
        ("data", ctypes.c_void_p),
        ("name", ctypes.c_char * 64),
        ("extra", ctypes.c_void_p),
        ("padding", ctypes.c_char * 8),
    )

    def source(self, number: int) -> Tensor:
        return Tensor.from_address(self.src[number])

    @property
    def weight_name(self) -> str:
        """The name without what the scheduler adds: a copy for a device is called "CUDA0#blk.0.ffn_up.weight#0"."""
        name: str = self.name.decode("utf-8", "replace")
        parts = name.split("#")
        return parts[1] if len(parts) > 1 else name


class Ggml:
    """The few functions of ggml that reading a tensor takes.

    Raises:
        EngineMissing: this build lacks one, or its struct is another.
    """

    def __init__(self) -> None:
        address, size, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64
        self._is_host = engine.symbol("ggml_backend_buffer_is_host", [address], ctypes.c_bool)
        self._get = engine.symbol("ggml_backend_tensor_get", [address, address, size, size], None)
        self._size = engine.symbol("ggml_nbytes", [address], size)
        self._op_name = engine.symbol("ggml_op_name", [ctypes.c_int], ctypes.c_char_p)
        self._init = engine.symbol("ggml_init", [_InitParameters], address)
        self._free = engine.symbol("ggml_free", [address], None)
        self._new = engine.symbol("ggml_new_tensor_2d", [address, ctypes.c_int, number, number], address)
        self._multiply = engine.symbol("ggml_mul_mat", [address, address, address], address)
        self._set_name = engine.symbol("ggml_set_name", [address, ctypes.c_char_p], address)
        self._check_layout()

    def operation(self, tensor: Tensor) -> str:
        return (self._op_name(tensor.op) or b"").decode()

    def array(self, tensor: Tensor, dtype: Any) -> NDArray[Any]:
        """The values as [ne3, ne2, ne1, ne0] with the tensor's own strides: a view, good while the callback runs."""
        size = self._size(ctypes.addressof(tensor))
        if tensor.buffer and self._is_host(tensor.buffer):
            buffer: Any = (ctypes.c_char * size).from_address(tensor.data)
        else:
            buffer = ctypes.create_string_buffer(size)
            self._get(ctypes.addressof(tensor), buffer, 0, size)
        return np.ndarray(tuple(tensor.ne)[::-1], dtype, buffer, strides=tuple(tensor.nb)[::-1])

    def _check_layout(self) -> None:
        """Build one multiplication and read it back: if a field has moved, this does not come out."""
        context = self._init(_InitParameters(1 << 16, None, True))
        try:
            weights, inputs = self._new(context, _F32, 7, 5), self._new(context, _F32, 7, 3)
            self._set_name(weights, b"blk.0.test.weight")
            node = Tensor.from_address(self._multiply(context, weights, inputs))
            source = Tensor.from_address(weights)
            found = (
                self.operation(node), tuple(node.ne), tuple(node.nb), node.src[0], node.src[1], node.src[2],
                source.name, tuple(source.ne), source.view_src, source.data, source.op,
            )  # fmt: skip
        finally:
            self._free(context)
        expected = (
            "MUL_MAT", (5, 3, 1, 1), (4, 20, 60, 60), weights, inputs, None,
            b"blk.0.test.weight", (7, 5, 1, 1), None, None, 0,
        )  # fmt: skip
        if found != expected:
            raise EngineMissing(
                "llama.cpp's tensors are laid out otherwise than pajamas knows them.",
                f"A multiplication reads as {found[:3]} ({engine.DISTRIBUTION} {engine.version()}).",
                "Use a version of pajamas-gguf that belongs to it, or a ready matrix: --imatrix FILE.",
            )


class _InitParameters(ctypes.Structure):
    _fields_ = (("mem_size", ctypes.c_size_t), ("mem_buffer", ctypes.c_void_p), ("no_alloc", ctypes.c_bool))
