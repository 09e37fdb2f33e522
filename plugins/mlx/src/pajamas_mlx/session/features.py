"""What sessions of this backend can do."""

from __future__ import annotations

from pajamas.types import Feature

FEATURES = frozenset(
    {
        Feature.STREAM,
        Feature.SEED,
        Feature.TOP_K,
        Feature.MIN_P,
        Feature.REPETITION_PENALTY,
        Feature.PRESENCE_PENALTY,
        Feature.FREQUENCY_PENALTY,
        Feature.LOGIT_BIAS,
        Feature.IGNORE_EOS,
        Feature.LOGPROBS,
        Feature.JSON_SCHEMA,
        Feature.TOOLS,
        Feature.THINKING,
        Feature.SCORE,
        Feature.PARALLEL,
        Feature.EXACT,
        Feature.PROMPT_CACHE,
        Feature.KV_TYPE,
        Feature.COMPUTE_DTYPE,
    }
)
"""mlx-lm samples no typical-p and knows no GBNF."""
