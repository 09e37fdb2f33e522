"""Rotary positions as a model's config means them, where mlx-lm reads something else, or nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pajamas.errors import UnsupportedModel
from pajamas_mlx.model_config import missing_keys

_LONG = ("longrope", "su")
_PHI3 = ("longrope", "su", "linear")


def corrections(config: Mapping[str, Any], context_length: int) -> dict[str, Any]:
    """What to put into the config before mlx-lm reads it, so that it computes what transformers does; may be empty.

    - `rope_parameters` of transformers 5, as the keys that mlx-lm's models look for.
    - YaRN: without an original context mlx-lm takes 4096, transformers the model's own; `attention_factor` is ignored
      by mlx-lm, and said here by its `mscale`, which gives 0.1 * mscale * ln(factor) + 1.
    - LongRoPE: mlx-lm takes the factors for long texts whatever the length. A session whose context is not longer
      than the original one takes those for short texts; a longer one takes the long ones throughout, as llama.cpp does.

    Raises:
        UnsupportedModel: the config asks for what mlx-lm would ignore.
    """
    found = missing_keys(config)
    merged = {**config, **found}
    rope = merged.get("rope_scaling")
    if not isinstance(rope, Mapping):
        return found
    kind = rope.get("type") or rope.get("rope_type") or "default"
    longest = merged.get("max_position_embeddings")
    original = merged.get("original_max_position_embeddings") or rope.get("original_max_position_embeddings") or longest
    if config.get("model_type") == "phi3" and kind not in (*_PHI3, "default"):
        raise _ignored(f"rope scaling of the kind {kind!r} for phi3")
    mended = {**rope, "type": kind}
    if kind == "default":
        mended = {}
    if kind == "yarn" and original is not None:
        mended["original_max_position_embeddings"] = rope.get("original_max_position_embeddings") or original
        wanted, factor = rope.get("attention_factor"), rope.get("factor")
        if isinstance(wanted, int | float) and isinstance(factor, int | float) and factor > 1:
            mended |= {"mscale": (wanted - 1) / (0.1 * math.log(factor)), "mscale_all_dim": 0}
    if kind in _LONG:
        if rope.get("attention_factor") is not None:
            raise _ignored("LongRoPE's attention_factor")
        if isinstance(original, int) and context_length <= original:
            mended["long_factor"] = rope.get("short_factor")
        mended["original_max_position_embeddings"] = found["original_max_position_embeddings"] = original
    found["rope_scaling"] = mended or None
    return found


def _ignored(what: str) -> UnsupportedModel:
    return UnsupportedModel(
        f"MLX cannot run this model: its config asks for {what}.",
        "mlx-lm ignores that, and what it computes would be wrong.",
        "Convert the model for another backend: --formats gguf.",
    )
