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
        Feature.COMPUTE_DTYPE,
        Feature.DISTRIBUTED,
    }
)
"""vLLM samples no typical-p. Its grammars are no GBNF: llguidance takes the longest word that fits, not any."""
