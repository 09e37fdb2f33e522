"""Llama 2 and 3, and Mistral, which llama.cpp runs as Llama."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import gguf
import numpy as np
from numpy.typing import NDArray

from pajamas.errors import ModelFileError
from pajamas_gguf.convert.families.base import Family


class Llama(Family):
    """LlamaForCausalLM."""

    arch = gguf.MODEL_ARCH.LLAMA
    bias_flags: ClassVar[tuple[str, ...]] = ("attention_bias", "mlp_bias")
    rope_types = (*Family.rope_types, "llama3")
    windowed = False
    defaults: ClassVar[Mapping[str, Any]] = {
        "vocab_size": 32000,
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": None,
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-6,
    }

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        # transformers states the head size in these two configs even where the file does not.
        self.hp.values["head_dim"] = self.head_dim

    def head_rows(self, name: str) -> int:
        """llama.cpp turns neighbouring elements as a pair, transformers element i with i + half."""
        return self.head_dim if ".attn_q." in name or ".attn_k." in name else 0

    def write_parameters(self, writer: Any, file_type: int) -> None:
        super().write_parameters(writer, file_type)
        writer.add_vocab_size(self.hp.integer("vocab_size"))
        writer.add_rope_dimension_count(self.head_dim)

    def computed_tensors(self) -> Iterator[tuple[str, NDArray[np.float32]]]:
        if self.hp.rope_type == "llama3":
            yield "rope_freqs.weight", self._rope_factors()

    def _rope_factors(self) -> NDArray[np.float32]:
        """What each rotary frequency is divided by, float32 [head_dim / 2].

        The rule is that of the Llama 3.1 reference code; the order of float32 operations (a reciprocal, then a product,
        for each quotient) is torch's, so that the bits are those of llama.cpp's converter.
        """
        hp, one = self.hp, np.float32(1)
        factor = hp.rope_number("factor", 8.0)
        low, high = hp.rope_number("low_freq_factor", 1.0), hp.rope_number("high_freq_factor", 4.0)
        old = hp.rope_number("original_max_position_embeddings", 8192)
        exponents = np.arange(0, self.head_dim, 2, dtype=np.float32) / np.float32(self.head_dim)
        theta = np.float32(hp.rope_number("rope_theta"))
        if min(factor, low, old, float(theta)) <= 0 or high <= low:
            raise ModelFileError(
                "config.json has llama3 rope parameters that make no sense.", str(hp.rope)[:200], "Download it again."
            )
        # In double precision and then rounded: the nearest float32. torch's own power gives the same for the thetas and
        # head sizes of released Llama 3 models; for others a factor may differ in its last bit.
        wavelengths = np.power(np.float64(theta), exponents.astype(np.float64)).astype(np.float32)
        wavelengths = one / (one / wavelengths) * np.float32(2 * math.pi)
        smooth = (one / wavelengths * np.float32(old) - np.float32(low)) / np.float32(high - low)
        between = one / ((one - smooth) / np.float32(factor) + smooth)
        factors = np.where(wavelengths > np.float32(old / low), np.float32(factor), between)
        return np.where(wavelengths < np.float32(old / high), one, factors).astype(np.float32)


class Mistral(Llama):
    """MistralForCausalLM."""

    bias_flags = ()
    windowed = True
    defaults: ClassVar[Mapping[str, Any]] = {
        **Llama.defaults,
        "intermediate_size": 14336,
        "num_key_value_heads": 8,
        "max_position_embeddings": 131072,
        "sliding_window": 4096,
    }
