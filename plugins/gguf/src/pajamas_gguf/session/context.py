"""The engine's working state for a model: key/value cache, compute buffers and result rows."""

from __future__ import annotations

import contextlib
import ctypes
import weakref
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np

from pajamas.errors import EngineError
from pajamas_gguf import engine
from pajamas_gguf.session.batch import Batch
from pajamas_gguf.session.interrupt import Interrupt

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pajamas_gguf.parameters import Parameters
    from pajamas_gguf.session.model import Model

_NO_SLOT, _STOPPED = 1, 2
_VIEWS = 256
_NOBODY_ELSE: AbstractContextManager[object] = contextlib.nullcontext()


class Stopped(EngineError):
    """The computation was broken off because somebody asked for it. What it had done was taken back."""

    def __init__(self) -> None:
        super().__init__("The computation was broken off.", "It was cancelled.", "")


class NoRoom(EngineError):
    """The key/value cache has no cells for the batch. Nothing was computed."""

    def __init__(self) -> None:
        super().__init__("llama.cpp finds no room in the key/value cache.", engine.last_error(), "Ask for less.")


class Context:
    """One `llama_context`. Sequences are numbered from 0 on.

    :param turn: what `compute_long` holds while it computes: with several contexts, each core is wanted only once.

    Raises:
        EngineError: the engine cannot make it: not enough memory, or options that this model does not allow.
    """

    def __init__(
        self,
        model: Model,
        parameters: Parameters,
        params: Any,
        turn: AbstractContextManager[object] = _NOBODY_ELSE,
    ) -> None:
        self._lib = lib = engine.library()
        engine.forget_errors()
        with engine.recorded() as self.log:
            pointer = lib.llama_init_from_model(model.pointer, params)
        if not pointer:
            raise EngineError(
                "llama.cpp cannot make a context for this model.",
                engine.last_error("There may be too little memory."),
                f"Try a shorter context than {parameters.context_length:,} tokens, or other options.",
            )
        self.pointer: int = pointer
        # The model goes with it, so that it is not freed before: the engine still reads it then.
        self.close = weakref.finalize(self, _free, lib.llama_free, pointer, model)
        self.batch = Batch(params.n_batch)
        self.rows: int = params.n_outputs_max
        self.cells: int = lib.llama_n_ctx(pointer)
        self._turn = turn
        self._model = model
        self._memory = lib.llama_get_memory(pointer)
        self._interrupt = interrupt = Interrupt()
        # Not over `self`: a cycle would leave freeing this much memory to the garbage collector.
        self._stop = lib.ggml_abort_callback(lambda _user: interrupt.wanted)
        self._never = lib.ggml_abort_callback()
        self._views: dict[tuple[int, int], NDArray[np.float32]] = {}

    @property
    def cancelled(self) -> bool:
        return self._interrupt.cancelled

    @cancelled.setter
    def cancelled(self, value: bool) -> None:
        self._interrupt.cancelled = value

    def compute(self) -> None:
        """Compute the batch: one short step, which nothing interrupts.

        Raises:
            EngineError: the engine failed.
        """
        self._raise_for(self._lib.llama_decode(self.pointer, self.batch.struct()))

    def compute_long(self, *, encode: bool = False) -> None:
        """Compute the batch; Ctrl-C and `cancelled` stop it in the middle.

        :param encode: with the model's encoder, whose tokens see those after them too.

        Raises:
            Stopped: it was `cancelled`. After Ctrl-C KeyboardInterrupt, or what the handler raises.
            EngineError: the engine failed.
        """
        # Asked after each node of the graph, so only where a step takes long against a thousand calls of Python.
        self._lib.llama_set_abort_callback(self.pointer, self._stop, None)
        compute = self._lib.llama_encode if encode else self._lib.llama_decode
        try:
            with self._turn, self._interrupt:
                code = compute(self.pointer, self.batch.struct())
        finally:
            self._lib.llama_set_abort_callback(self.pointer, self._never, None)
        self._raise_for(code)

    def logits(self, row: int) -> NDArray[np.float32]:
        """The logits of the batch's token `row`, float32 [vocabulary]: a view, good until the next computation."""
        return self._view(self._lib.llama_get_logits_ith(self.pointer, row), self._model.vocabulary_size)

    def all_logits(self, rows: int) -> NDArray[np.float32]:
        """The logits of the batch's `rows` result rows in order, float32 [rows, vocabulary]: a view, as above."""
        size = self._model.vocabulary_size
        return self._view(self._lib.llama_get_logits(self.pointer), rows * size).reshape(rows, size)

    def pooled(self, sequence: int, size: int) -> NDArray[np.float32]:
        """A sequence's pooled embedding, float32 [size]: a copy."""
        return self._view(self._lib.llama_get_embeddings_seq(self.pointer, sequence), size).copy()

    def forget(self, sequence: int, position: int = 0) -> bool:
        """Remove a sequence's tokens from `position` on; False if this memory cannot go back (recurrent models)."""
        if not self._memory:
            return True
        return bool(self._lib.llama_memory_seq_rm(self._memory, sequence, position, -1))

    def share(self, source: int, sequence: int, count: int) -> None:
        """Make a sequence's first `count` tokens those of another one too. Recurrent models: all tokens or none."""
        self._lib.llama_memory_seq_cp(self._memory, source, sequence, 0, count)

    def first_position(self, sequence: int) -> int:
        """The first position that is still there: not 0 where a sliding window has moved on. -1 if empty."""
        return int(self._lib.llama_memory_seq_pos_min(self._memory, sequence)) if self._memory else -1

    def clear(self) -> None:
        if self._memory:
            self._lib.llama_memory_clear(self._memory, False)

    def _view(self, pointer: Any, size: int) -> NDArray[np.float32]:
        address = engine.pointer(pointer)
        if not address:
            raise EngineError("llama.cpp has no result where there should be one.", engine.last_error(), "")
        # The engine keeps its result buffer from step to step, and making a view costs more than finding one.
        view = self._views.get((address, size))
        if view is None:
            if len(self._views) > _VIEWS:
                self._views.clear()
            view = np.frombuffer(memoryview((ctypes.c_float * size).from_address(address)), np.float32)
            self._views[address, size] = view
        return view

    def _raise_for(self, code: int) -> None:
        if code == 0:
            return
        if code == _STOPPED:
            raise Stopped
        if code == _NO_SLOT:
            raise NoRoom
        raise EngineError("llama.cpp failed to compute.", f"{engine.last_error()} (code {code})", "")


def _free(free: Callable[[int], None], pointer: int, _model: Model) -> None:
    free(pointer)
