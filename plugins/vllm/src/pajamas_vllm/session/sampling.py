"""From a request to vLLM's SamplingParams."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pajamas.errors import UnsupportedFeature, UsageError
from pajamas_vllm import engine
from pajamas_vllm.session.json_schema import enforced

if TYPE_CHECKING:
    from pajamas.types import GenerateRequest
    from pajamas_vllm.session.vocabulary import Vocabulary

COLDEST, HOTTEST = 0.01, 2.0
"""Temperatures that vLLM samples with. It would silently raise a lower one; 0 is greedy."""
_SEEDS = 1 << 63


def sampling_params(request: GenerateRequest, vocabulary: Vocabulary, limit: int) -> Any:
    """vLLM's SamplingParams for one request of at most `limit` tokens.

    Raises:
        UsageError: a value that makes no sense.
        UnsupportedFeature: a value that vLLM cannot honour.
    """
    sampling, vllm = request.sampling, engine.engine().sampling
    temperature = 1.0 if sampling.temperature is None else float(sampling.temperature)
    if temperature and not COLDEST <= temperature <= HOTTEST:
        raise UnsupportedFeature(
            f"vLLM cannot sample with a temperature of {temperature:g}.",
            f"It samples from {COLDEST:g} to {HOTTEST:g}, and 0 takes the likeliest token.",
            "Choose another temperature.",
        )
    vocabulary.check(sampling.logit_bias)
    bias = {token: float(value) for token, value in sampling.logit_bias.items()}
    if request.ignore_eos:
        bias |= dict.fromkeys(vocabulary.end_tokens, -math.inf)
    structured = None
    if request.json_schema is not None:
        structured = vllm.StructuredOutputsParams(json=enforced(request.json_schema))
    try:
        return vllm.SamplingParams(
            temperature=temperature,
            top_k=sampling.top_k or 0,
            top_p=_share("top_p", sampling.top_p),
            min_p=sampling.min_p or 0.0,
            repetition_penalty=1.0 if sampling.repetition_penalty is None else sampling.repetition_penalty,
            presence_penalty=sampling.presence_penalty or 0.0,
            frequency_penalty=sampling.frequency_penalty or 0.0,
            logit_bias=bias or None,
            seed=None if sampling.seed is None else sampling.seed % _SEEDS,  # -1 would be none
            max_tokens=limit,
            logprobs=request.logprobs,
            ignore_eos=True,  # all tokens that end an answer are given here
            stop_token_ids=[] if request.ignore_eos else sorted(vocabulary.end_tokens),
            structured_outputs=structured,
            detokenize=False,
            output_kind=vllm.RequestOutputKind.DELTA,
            skip_reading_prefix_cache=not request.cache_prompt or request.exact or sampling.seed is not None,
        )
    except ValueError as error:
        raise UsageError("vLLM refuses the request.", str(error)[:500], "Change the option that is named.") from error


def _share(name: str, value: float | None) -> float:
    if value is not None and value <= 0:
        return 1e-9  # the likeliest token alone, which vLLM keeps in any case
    return 1.0 if value is None else value
