"""From `LoadOptions` to what a session of this backend is set up with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from pajamas.errors import UnsupportedFeature, UnsupportedModel, UsageError
from pajamas.needs import load_features, refuse_missing
from pajamas.types import LoadOptions
from pajamas_mlx import engine
from pajamas_mlx.model_config import default_keys
from pajamas_mlx.session.features import FEATURES
from pajamas_mlx.session.model import KV_GROUP, Plan
from pajamas_mlx.session.rope import corrections
from pajamas_mlx.session.windows import window_of

if TYPE_CHECKING:
    from pajamas_mlx.session.facts import Facts

COMPUTE_DTYPES = ("float32", "bfloat16", "float16")
DEFAULT_CONTEXT = 8192
DEFAULT_SEQUENCES = 8
MOST_SEQUENCES = 256
CHUNK = 512
"""Tokens of a prompt that are computed together. On the processor MLX keeps all attention scores of a chunk at once."""
KV_BITS = {"8": 8, "8bit": 8, "4": 4, "4bit": 4}
"""Types of the key/value cache: mlx-lm's `--kv-bits`. It can say 2 too, which leaves nothing of a model."""


@frozen(kw_only=True)
class Parameters:
    """Checked options."""

    device: str
    context_length: int
    chunk: int
    sequences: int
    """Requests that are answered at once."""
    room: int
    """Tokens of all sequences together."""
    plan: Plan
    notes: tuple[str, ...] = ()
    """What was chosen that nobody has asked for, and why."""


def resolve(options: LoadOptions, facts: Facts) -> Parameters:
    """Check the options against this machine and fill what they leave open.

    The key/value cache grows with its tokens, so that a session takes the model's whole context if nothing is asked.

    Raises:
        UsageError: a number or a type that makes no sense.
        UnsupportedFeature: an option that MLX has not; each is named.
        UnsupportedModel: the config asks for what MLX would ignore, in a context as long.
        DeviceNotFound: the device is not here.
    """
    device = engine.check_device(options.device)
    refuse_missing("mlx", load_features(options), FEATURES)
    lacking = [name for name in ("threads", "flash_attention") if getattr(options, name) is not None]
    lacking += ["gpu_layers"] if options.gpu_layers == 0 and device == "metal" else []
    if lacking:
        raise UnsupportedFeature(
            f"Backend 'mlx' does not support {', '.join(lacking)}.",
            "MLX chooses its threads and its attention itself, and computes all layers on one device.",
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
    if (options.max_sequences or 0) > MOST_SEQUENCES:
        raise UsageError(f"{options.max_sequences} sequences are too many.", f"There may be {MOST_SEQUENCES}.", "")
    trained = facts.trained_context
    context = options.context_length or trained or DEFAULT_CONTEXT
    notes = []
    window = window_of(facts.config)
    if window is not None and context <= window.size:
        window = None
    if window is not None and not window.everywhere:
        if options.context_length is not None:
            raise UnsupportedModel(
                f"MLX cannot run this model with a context of {context:,} tokens.",
                f"Some of its layers look back on {window.size:,} only, and mlx-lm's code for it ignores that.",
                f"Ask for no more than {window.size:,}, or convert the model for another backend: --formats gguf.",
            )
        context, window = window.size, None
        notes += [f"The context is {context:,} tokens: some layers look back on so many, which mlx-lm ignores."]
    # Rotations go on beyond the trained context, though what they mean was not learned. Learned positions end there.
    if trained and context > trained and not facts.rotary:
        raise UsageError(
            f"A context of {context:,} tokens is too long.",
            f"The model has learned {trained:,} positions, and there is no other.",
            "Ask for less.",
        )
    mended = corrections(facts.config, context)
    compute_dtype = options.compute_dtype
    if compute_dtype is None and device == "cpu" and facts.wants_float32:
        compute_dtype = "float32"
        notes += [f"MLX computes this model in float32 on the processor, {facts.wants_float32}."]
    return Parameters(
        device=device,
        context_length=context,
        chunk=min(options.batch_size or CHUNK, context),
        sequences=options.max_sequences or DEFAULT_SEQUENCES,
        room=context * (options.max_sequences or 1),
        plan=Plan(
            folder=str(facts.folder.resolve()),
            compute_dtype=compute_dtype,
            corrections={**default_keys({**facts.config, **mended}), **mended},
            kv_bits=_kv_bits(options.kv_type, facts),
            window=window.size if window else None,
        ),
        notes=tuple(notes),
    )


def _kv_bits(kv_type: str | None, facts: Facts) -> int | None:
    if kv_type is None:
        return None
    if kv_type.lower() not in KV_BITS:
        raise UsageError(
            f"MLX has no key/value cache of the type {kv_type!r}.", "", "Choose 8bit or 4bit, or leave it out."
        )
    if (facts.architecture.head_dim or 1) % KV_GROUP:
        raise UnsupportedFeature(
            "This model's key/value cache cannot be quantized.",
            f"Its heads have {facts.architecture.head_dim} numbers, which are no groups of {KV_GROUP}.",
            "Leave kv_type out.",
        )
    return KV_BITS[kv_type.lower()]
