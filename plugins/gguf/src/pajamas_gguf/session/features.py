"""What sessions of this backend can do."""

from __future__ import annotations

from pajamas.types import Feature

GENERATING = frozenset(
    {
        Feature.STREAM,
        Feature.SEED,
        Feature.TOP_K,
        Feature.MIN_P,
        Feature.TYPICAL_P,
        Feature.REPETITION_PENALTY,
        Feature.PRESENCE_PENALTY,
        Feature.FREQUENCY_PENALTY,
        Feature.LOGIT_BIAS,
        Feature.IGNORE_EOS,
        Feature.LOGPROBS,
        Feature.JSON_SCHEMA,
        Feature.GRAMMAR,
        Feature.TOOLS,
        Feature.THINKING,
        Feature.SCORE,
        Feature.PARALLEL,
        Feature.EXACT,
        Feature.PROMPT_CACHE,
        Feature.KV_TYPE,
    }
)
"""Of a session loaded to generate; where there is a GPU, also `Feature.GPU_LAYERS`."""

EMBEDDING = frozenset({Feature.EMBEDDINGS, Feature.KV_TYPE})
"""Of a session loaded with `LoadOptions.embeddings`."""
