"""What an MLX folder without a receipt is taken for."""

from __future__ import annotations

import pytest

from pajamas.mlx_scheme import scheme_of
from pajamas.profiles import resolve_targets
from pajamas.safetensors_header import SafetensorsEntry

EMBEDDING, LAYER, OTHER = "model.embed_tokens", "model.layers.0.mlp.down_proj", "model.layers.1.mlp.down_proj"
SIX, EIGHT = {"bits": 6, "group_size": 64}, {"bits": 8, "group_size": 64}


def block(bits=4, group_size=64, mode="affine", **single):
    return {"bits": bits, "group_size": group_size, "mode": mode, **single}


def folder(bits):
    """Three layers of so many bits, the embedding of 64 x 512 and two of 512 x 512 weights."""
    for layer, rows in ((EMBEDDING, 64), (LAYER, 512), (OTHER, 512)):
        width = bits[layer] * 512 // 32
        yield SafetensorsEntry(f"{layer}.weight", (rows, width), "U32", "model.safetensors", 0, rows * width * 4)
        for part in ("scales", "biases"):
            yield SafetensorsEntry(f"{layer}.{part}", (rows, 8), "BF16", "model.safetensors", 0, rows * 16)


@pytest.mark.parametrize(
    ("quantization", "name", "profile"),
    [
        (block(**{EMBEDDING: SIX}), "4bit", "balanced"),
        (block(8, 128), "8bit", "hq"),
        (block(8, 128, **{OTHER: {"bits": 8, "group_size": 64}}), "8bit", "hq"),
        (block(), "4bit uniform", None),
        (block(4, 32), "4bit g32", None),
        (block(8), "8bit g64", None),
        (block(3), "3bit", None),
        (block(4, 32, "mxfp4"), "mxfp4", None),
        (block(4, 16, "nvfp4"), "nvfp4", None),
        (block(**{OTHER: SIX}), "5.4 bits mixed", None),  # as mixed_4_6: the embedding has four bits
        (
            block(**{EMBEDDING: EIGHT, LAYER: EIGHT, OTHER: EIGHT}),
            "8.5 bits mixed",
            None,
        ),  # more than there is room for
        (block(**{EMBEDDING: {"bits": 4, "group_size": 32, "mode": "mxfp4"}}), "4.5 bits mixed", None),
        (block(**{EMBEDDING: False}), "4.5 bits mixed", None),
    ],
)
def test_a_schemes_name_is_given_to_its_recipe_alone(quantization, name, profile):
    bits = {layer: (quantization.get(layer) or quantization).get("bits") for layer in (EMBEDDING, LAYER, OTHER)}

    assert scheme_of(quantization, list(folder(bits))) == name
    (target,) = resolve_targets(["mlx"], name)
    assert (target.profile.name if target.profile else None) == profile


@pytest.mark.parametrize("quantization", [{}, {"bits": "4"}, {"bits": True, "group_size": 64}, {"bits": 0}])
def test_a_block_that_makes_no_sense_gives_no_name(quantization):
    assert scheme_of(quantization, []) is None
