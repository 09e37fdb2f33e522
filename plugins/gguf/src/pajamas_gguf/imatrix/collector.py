"""Sums up what flows into each weight matrix while the engine computes.

The method of llama.cpp's tools/imatrix/imatrix.cpp (IMatrixCollector::collect_imatrix), to the order of its float32
additions: on the same computation both come to the same bits. A better sum would differ by 7e-5 after 25,000 rows.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pajamas_gguf.imatrix.matrix import Entry
from pajamas_gguf.imatrix.tensor import Ggml, Tensor

_FEWEST_ROWS = 16  # llama.cpp's own bound: smaller batches are left out
_F32 = 0
_DENSE, _EXPERTS = "MUL_MAT", "MUL_MAT_ID"


class Collector:
    """`callback` goes to the context as cb_eval. What goes wrong inside is kept in `error`, since C cannot raise."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self._ggml = Ggml()
        self._sums: dict[str, NDArray[np.float32]] = {}
        self._counts: dict[str, NDArray[np.int64]] = {}
        self._operations: dict[int, str] = {}

    def callback(self, address: int, ask: bool, _user: object) -> bool:
        """Asked before each node whether it is of interest (`ask`), and called after those that are.

        False after a node ends the computation.
        """
        try:
            node = Tensor.from_address(address)
            operation = self._operations.get(node.op)
            if operation is None:
                operation = self._operations[node.op] = self._ggml.operation(node)
            if ask:
                return operation == _EXPERTS or (operation == _DENSE and _wanted(node))
            (self._add_experts if operation == _EXPERTS else self._add_dense)(node)
        except Exception as error:  # an exception cannot pass through the engine's C++; `collect` raises it
            self.error = error
            return False
        return True

    def entries(self) -> dict[str, Entry]:
        return {name: Entry(sums, self._counts[name].astype(np.float32)) for name, sums in self._sums.items()}

    def _add_dense(self, node: Tensor) -> None:
        weights, inputs = node.source(0), node.source(1)
        values = self._ggml.array(inputs, np.float32)
        high, low = weights.ne[3], weights.ne[2]
        sums, counts = self._of(weights.weight_name, high * low, 1, inputs.ne[0])
        for outer, group in enumerate(values):
            for inner, rows in enumerate(group):
                # Inputs of more dimensions than the weights have all go to the same matrix.
                _add_squares(sums[outer % high * low + inner % low], rows)
        counts += values.shape[0] * values.shape[1] * values.shape[2] // (high * low)

    def _add_experts(self, node: Tensor) -> None:
        """Weights [experts, rows, columns]; inputs [tokens, 1 or used, columns]; chosen [tokens, used]."""
        weights, inputs = node.source(0), node.source(1)
        values = self._ggml.array(inputs, np.float32)[0]
        chosen = self._ggml.array(node.source(2), np.int32)[0, 0]
        experts = weights.ne[2]
        sums, counts = self._of(weights.weight_name, experts, experts, inputs.ne[0])
        for slot in range(chosen.shape[1]):
            rows, picked = values[:, slot % values.shape[1]], chosen[:, slot]
            for expert in np.unique(picked):
                _add_squares(sums[expert], rows[picked == expert])
            counts += np.bincount(picked, minlength=experts)

    def _of(self, name: str, matrices: int, counts: int, columns: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        if name not in self._sums:
            self._sums[name], self._counts[name] = np.zeros((matrices, columns), np.float32), np.zeros(counts, np.int64)
        return self._sums[name], self._counts[name]


def _wanted(node: Tensor) -> bool:
    weights, inputs = node.source(0), node.source(1)
    return inputs.ne[1] >= _FEWEST_ROWS and inputs.type == _F32 and weights.weight_name.startswith("blk.")


def _add_squares(sums: NDArray[np.float32], rows: NDArray[np.float32]) -> None:
    """Add the squares of `rows` [n, columns] to `sums` [columns], one row after the other."""
    work = np.empty((len(rows) + 1, rows.shape[1]), np.float32)
    work[0] = sums
    np.multiply(rows, rows, out=work[1:])
    np.add.reduce(work, axis=0, out=sums)
    if not np.isfinite(sums).all():
        raise ValueError("The model computes values that are not finite")


def as_callback(lib: Any, collector: Collector) -> Any:
    """The C function; it must be kept while the context lives."""
    kind = lib.ggml_backend_sched_eval_callback
    return kind(lambda address, ask, user: collector.callback(_address(address), ask, user))


def _address(value: Any) -> int:
    return value if isinstance(value, int) else ctypes.cast(value, ctypes.c_void_p).value or 0
