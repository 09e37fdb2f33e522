"""What this backend can make, and what a person's options make of it. Free of the engine."""

from __future__ import annotations

from attrs import frozen

BITS = (2, 3, 4, 5, 6, 8)
"""Of mlx.core.quantize's affine mode."""
GROUP_SIZES = (32, 64, 128)


@frozen(kw_only=True)
class Scheme:
    name: str
    bits: int | None = None
    """Of the body; None writes 16 bits."""
    group_size: int = 64
    """Weights that share a scale, where the job names no other number."""
    mode: str = "affine"
    """mlx.core.quantize's name of the format."""
    recipe: str | None = None
    """mlx-lm's own name of a mixed recipe."""
    dtype: str | None = None
    """mlx.core's name of the type that a 16-bit scheme writes."""
    next: str | None = None
    """The scheme to try when this one measures too bad."""


SCHEMES = {
    scheme.name: scheme
    for scheme in (
        Scheme(name="4bit", bits=4, next="6bit"),
        # mlx.core's groups of 128 cost a quarter of a bit less than those of 64, which eight bits do not need.
        Scheme(name="8bit", bits=8, group_size=128, next="bf16"),
        Scheme(name="6bit", bits=6, next="8bit"),
        Scheme(name="5bit", bits=5, next="6bit"),
        Scheme(name="3bit", bits=3, next="4bit"),
        Scheme(name="2bit", bits=2, next="3bit"),
        Scheme(name="mxfp4", bits=4, group_size=32, mode="mxfp4", next="4bit"),
        Scheme(name="nvfp4", bits=4, group_size=16, mode="nvfp4", next="4bit"),
        Scheme(name="mxfp8", bits=8, group_size=32, mode="mxfp8", next="8bit"),
        Scheme(name="mixed_2_6", bits=2, recipe="mixed_2_6", next="mixed_3_6"),
        Scheme(name="mixed_3_4", bits=3, recipe="mixed_3_4", next="mixed_3_6"),
        Scheme(name="mixed_3_6", bits=3, recipe="mixed_3_6", next="4bit"),
        Scheme(name="mixed_4_6", bits=4, recipe="mixed_4_6", next="6bit"),
        Scheme(name="bf16", dtype="bfloat16"),
        Scheme(name="f16", dtype="float16"),
    )
}
ALIASES = {
    **{f"q{bits}": f"{bits}bit" for bits in BITS},
    **{f"{bits}-bit": f"{bits}bit" for bits in BITS},
    "fp16": "f16", "float16": "f16", "bfloat16": "bf16",
}  # fmt: skip
REFUSED = {
    "1bit": "MLX quantizes to 2, 3, 4, 5, 6 or 8 bits.",
    "7bit": "MLX quantizes to 2, 3, 4, 5, 6 or 8 bits.",
    "dwq": "It trains the quantized weights, which needs the gradients of the whole model: use mlx_lm.dwq.",
    "awq": "It needs a search over the layers: use mlx_lm.awq.",
    "gptq": "It needs a search over the layers: use mlx_lm.gptq.",
}
PROFILES = {"balanced": "4bit", "ultra": "4bit", "hq": "8bit"}
QUANTIZE_OPTIONS = frozenset({
    "aggressive", "mixed_precision", "embedding_bits", "group_size", "target_bpw", "calibration_samples",
    "calibration_text",
})  # fmt: skip
