"""What quantization cost a model, and whether so much is to be expected of that many bits."""

from __future__ import annotations

from attrs import frozen

from pajamas_validate.equivalence.distance import Distance

_AT_NO_BITS = 16.0
_PER_BIT = 3.0
_MARGIN = 10.0
"""Recipes and models differ by half as much: see `usual_loss`."""


@frozen(kw_only=True)
class Loss:
    distance: Distance
    """`forth` is that of the quantized model from its original, which computes in float32."""
    bits: float
    """Of the file, for each weight of the original."""

    @property
    def usual(self) -> float:
        return usual_loss(self.bits)

    @property
    def suspicious(self) -> bool:
        return self.distance.forth > _MARGIN * self.usual

    @property
    def sentence(self) -> str:
        return (
            f"about {self.usual:.2g} is usual at {self.bits:.2f} bits. A fault of the quantizer, or a damaged file, "
            "would explain it; the scheme alone does not."
        )


def usual_loss(bits: float) -> float:
    """Mean KL divergence in nats that is usual at this many bits a weight: three times less for each bit more.

    A line through published and measured ladders: llama.cpp's table for Llama-3-8B (Q8_0 0.0014, Q6_K 0.0055, Q4_K_M
    0.031, Q2_K 0.33 to 0.45) and the bundled model's (0.0013, 0.0085, 0.057, 0.68); on the larger side of both.
    """
    return float(_AT_NO_BITS * _PER_BIT**-bits)
