"""llama.cpp's chain of samplers, over any part of the vocabulary."""

from __future__ import annotations

import ctypes
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from pajamas_gguf import engine

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pajamas.types import Sampling

_ENTRY = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])  # llama_token_data


class Candidates:
    """`llama_token_data_array` over a numpy array that grows as needed."""

    def __init__(self) -> None:
        self._lib = engine.library()
        self._entries = np.empty(0, _ENTRY)
        self.struct: Any = None

    def fill(self, ids: NDArray[np.intp], logits: NDArray[np.float32]) -> None:
        if len(self._entries) < len(ids):
            self._entries = np.empty(len(ids), _ENTRY)
        entries = self._entries[: len(ids)]
        entries["id"] = ids
        entries["logit"] = logits
        entries["p"] = 0
        data = ctypes.cast(self._entries.ctypes.data, ctypes.POINTER(self._lib.llama_token_data))
        self.struct = self._lib.llama_token_data_array(data=data, size=len(ids), selected=-1, sorted=False)

    @property
    def selected(self) -> int:
        # A sampler may have put its own array in place of ours, so this reads through the struct.
        return int(self.struct.data[self.struct.selected].id)

    @property
    def logits(self) -> NDArray[np.float32]:
        """After a sampler that keeps the order, such as a grammar."""
        found: NDArray[np.float32] = self._entries["logit"][: self.struct.size]
        return found


class Chain:
    """top-k, typical, top-p, min-p, temperature, draw: llama.cpp's own order, the options that are off left out."""

    def __init__(self, sampling: Sampling, seed: int) -> None:
        lib = engine.library()
        chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        self.close = weakref.finalize(self, lib.llama_sampler_free, chain)
        self._pointer = chain
        self._lib = lib
        # The chain frees what is added to it.
        if sampling.top_k:
            lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_top_k(sampling.top_k))
        if sampling.typical_p is not None and sampling.typical_p < 1:
            lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_typical(sampling.typical_p, 1))
        if sampling.top_p is not None and sampling.top_p < 1:
            lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_top_p(sampling.top_p, 1))
        if sampling.min_p:
            lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_min_p(sampling.min_p, 1))
        if sampling.temperature is not None and sampling.temperature != 1:
            lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_temp(sampling.temperature))
        lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_dist(seed))

    def draw(self, candidates: Candidates) -> int:
        self._lib.llama_sampler_apply(self._pointer, ctypes.byref(candidates.struct))
        return candidates.selected
