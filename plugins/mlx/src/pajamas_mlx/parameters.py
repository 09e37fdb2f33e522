"""From `LoadOptions` to what a session of this backend is set up with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import frozen

from pajamas.errors import UnsupportedFeature, UsageError
from pajamas.needs import load_features, refuse_missing
from pajamas.types import LoadOptions
from pajamas_mlx import engine
from pajamas_mlx.session.features import FEATURES
from pajamas_mlx.session.rope import corrections

if TYPE_CHECKING:
    from pajamas_mlx.session.facts import Facts

COMPUTE_DTYPES = ("float32", "bfloat16", "float16")
DEFAULT_CONTEXT = 8192
CHUNK = 512
"""Tokens of a prompt that are computed together. On the processor MLX keeps all attention scores of a chunk at once."""


@frozen(kw_only=True)
class Parameters:
    """Checked options."""

    device: str
    context_length: int
    chunk: int
    compute_dtype: str | None
    corrections: Mapping[str, Any]
    """To the config, before mlx-lm reads it."""


def resolve(options: LoadOptions, facts: Facts) -> Parameters:
    """Check the options against this machine and fill what they leave open.

    The key/value cache grows with its tokens, so that a session takes the model's whole context if nothing is asked.

    Raises:
        UsageError: a number or a type that makes no sense.
        UnsupportedFeature: an option that MLX has not; each is named.
        UnsupportedModel: the config asks for what MLX would ignore.
        DeviceNotFound: the device is not here.
    """
    device = engine.check_device(options.device)
    refuse_missing("mlx", load_features(options), FEATURES)
    lacking = [name for name in ("threads", "flash_attention") if getattr(options, name) is not None]
    lacking += ["max_sequences"] if options.max_sequences > 1 else []
    lacking += ["gpu_layers"] if options.gpu_layers == 0 and device == "metal" else []
    if lacking:
        raise UnsupportedFeature(
            f"Backend 'mlx' does not support {', '.join(lacking)}.",
            "MLX chooses its threads and its attention itself, computes all layers on one device, and a session "
            "answers one request at a time.",
            "Leave the option out; the device cpu computes everything on the processor.",
        )
    for name in ("context_length", "batch_size", "max_sequences"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise UsageError(f"{name} {value} makes no sense.", "It must be at least 1.", "")
    if options.compute_dtype not in (None, *COMPUTE_DTYPES):
        raise UsageError(
            f"MLX does not compute in {options.compute_dtype!r}.", "", f"Choose one of {', '.join(COMPUTE_DTYPES)}."
        )
    trained = facts.trained_context
    context = options.context_length or trained or DEFAULT_CONTEXT
    # Rotations go on beyond the trained context, though what they mean was not learned. Learned positions end there.
    if trained and context > trained and not facts.rotary:
        raise UsageError(
            f"A context of {context:,} tokens is too long.",
            f"The model has learned {trained:,} positions, and there is no other.",
            "Ask for less.",
        )
    return Parameters(
        device=device,
        context_length=context,
        chunk=min(options.batch_size or CHUNK, context),
        # MLX multiplies quantized weights by float32 on the processor, and takes seven times as long for 16 bits.
        compute_dtype=options.compute_dtype or ("float32" if device == "cpu" and facts.quantized else None),
        corrections=corrections(facts.config, context),
    )
