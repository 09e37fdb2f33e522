"""What one call to the engine computes: tokens of one or several sequences."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from pajamas_gguf import engine


class Batch:
    """`llama_batch` over numpy arrays of room for `capacity` tokens, filled by slices."""

    def __init__(self, capacity: int) -> None:
        lib = engine.library()
        self.capacity = capacity
        self.size = 0
        self._tokens = np.zeros(capacity, np.int32)
        self._positions = np.zeros(capacity, np.int32)
        self._sequences = np.zeros(capacity, np.int32)
        self._outputs = np.zeros(capacity, np.int8)
        # One sequence a token: each row's pointer leads to its own entry of `_sequences`.
        self._sequence_counts = np.ones(capacity, np.int32)
        self._sequence_pointers = (
            self._sequences.ctypes.data + 4 * np.arange(capacity, dtype=np.uintp)
        )  # fmt: skip
        number, pointer = ctypes.POINTER(ctypes.c_int32), ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))
        self._struct = lib.llama_batch(
            n_tokens=0,
            token=self._tokens.ctypes.data_as(number),
            pos=self._positions.ctypes.data_as(number),
            n_seq_id=self._sequence_counts.ctypes.data_as(number),
            seq_id=self._sequence_pointers.ctypes.data_as(pointer),
            logits=self._outputs.ctypes.data_as(ctypes.POINTER(ctypes.c_int8)),
        )

    def clear(self) -> None:
        self.size = 0

    def add(self, tokens: Sequence[int], position: int, sequence: int, outputs: int) -> None:
        """Append tokens that stand at `position` on; the last `outputs` of them get a row of results."""
        begin, end = self.size, self.size + len(tokens)
        self._tokens[begin:end] = tokens
        self._positions[begin:end] = np.arange(position, position + len(tokens))
        self._sequences[begin:end] = sequence
        self._outputs[begin:end] = 0
        self._outputs[end - outputs : end] = 1
        self.size = end

    def put_one(self, token: int, position: int, sequence: int) -> None:
        """Make the batch this single token with a result: the step of generation, without slices."""
        self._tokens[0] = token
        self._positions[0] = position
        self._sequences[0] = sequence
        self._outputs[0] = 1
        self.size = 1

    def struct(self) -> Any:
        self._struct.n_tokens = self.size
        return self._struct
