"""A model in vLLM, ready to answer and to score."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pajamas.answer_stream import AnswerStream
from pajamas.errors import ContextOverflow, UsageError
from pajamas.session import BaseSession
from pajamas.types import GenerateRequest, MemoryUse
from pajamas_vllm.session import score
from pajamas_vllm.session.core import Core
from pajamas_vllm.session.features import FEATURES
from pajamas_vllm.session.job import Job
from pajamas_vllm.session.sampling import sampling_params
from pajamas_vllm.session.scheduler import Scheduler
from pajamas_vllm.session.vocabulary import Vocabulary

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pajamas_vllm.session.facts import Facts
    from pajamas_vllm.session.parameters import Parameters


class VLLMSession(BaseSession):
    """`pajamas.types.Session`. Any number of threads may use it at once: vLLM computes their requests together."""

    backend = "vllm"
    features = FEATURES

    def __init__(self, facts: Facts, parameters: Parameters) -> None:
        self.architecture = facts.architecture
        self.context_length = parameters.context_length
        self.default_sampling = facts.default_sampling
        self.memory = MemoryUse(weights=facts.size, kv_cache=parameters.kv_cache, compute=0)
        self._vocabulary = Vocabulary(facts.folder, facts.end_tokens, facts.architecture.vocab_size or 0)
        self.chat_template = self._vocabulary.chat_template
        self.special_tokens: Mapping[str, str] = self._vocabulary.special_tokens
        self._core = Core(parameters)
        self._scheduler = Scheduler(self._core)

    def tokenize(self, text: str, *, add_special: bool = True, parse_special: bool = True) -> list[int]:
        return self._vocabulary.tokenize(text, add_special=add_special, parse_special=parse_special)

    def detokenize(self, token_ids: list[int]) -> str:
        return self._vocabulary.detokenize(token_ids)

    def generate(self, request: GenerateRequest) -> AnswerStream[Job]:
        """A lazy stream; `close` frees its place in the engine at once.

        With `exact` or a seed a request is computed alone, and uses nothing of earlier ones: it waits until those that
        run have ended, and others wait for it. The penalties count all tokens, prompt and answer; those of presence and
        frequency the answer's only.

        Raises:
            ContextOverflow: prompt and one token do not fit the context; nothing was computed.
            UsageError: an option or a schema that makes no sense.
            UnsupportedFeature: the request asks for what vLLM has not, or the schema for what cannot be enforced.
            EngineError: from the stream: the engine fails or has died.
        """
        self._core.check()
        self.refuse_unsupported(request)
        prompt = self._prompt(request)
        room = self.context_length - len(prompt)
        if room < 1:
            raise ContextOverflow(
                f"The prompt has {len(prompt):,} tokens.",
                f"The context holds {self.context_length:,}, and the answer needs at least one.",
                "Shorten the prompt, or load with a longer context.",
            )
        limit = room if request.max_tokens is None else min(room, request.max_tokens)
        params = sampling_params(request, self._vocabulary, limit)
        return AnswerStream(self._scheduler, lambda: Job(self._vocabulary, request, prompt, params))

    def score(self, token_ids: list[int], first: int = 0) -> Iterator[NDArray[np.float32]]:
        """As `Session.score`; one window, which must fit the context.

        Raises:
            ContextOverflow: the window does not fit.
            UsageError: a token or `first` out of range.
            EngineError: from the blocks: the engine fails or has died.
        """
        self._core.check()
        self._vocabulary.check(token_ids)
        if len(token_ids) > self.context_length:
            raise ContextOverflow(
                f"The window has {len(token_ids):,} tokens.", f"The context holds {self.context_length:,}.", "Split it."
            )
        if not 0 <= first < len(token_ids):
            raise UsageError(f"Position {first} is not in the window.", f"It has {len(token_ids):,} tokens.", "")
        return score.blocks(self._core, list(token_ids), first, self._vocabulary.size)

    def close(self) -> None:
        """End the engine and its processes. Answers that are open end as if they were cancelled."""
        self._core.close()

    def _prompt(self, request: GenerateRequest) -> list[int]:
        if request.max_tokens is not None and request.max_tokens < 1:
            raise UsageError(f"max_tokens {request.max_tokens} makes no sense.", "It must be at least 1.", "")
        if request.logprobs is not None and request.logprobs < 0:
            raise UsageError(f"{request.logprobs} log-probabilities make no sense.", "It must be at least 0.", "")
        if request.token_ids is not None:
            prompt = list(request.token_ids)
            self._vocabulary.check(prompt)
        else:
            prompt = self._vocabulary.prompt_tokens(request.prompt or "")
        if not prompt:
            raise UsageError("The prompt is empty.", "The model needs a token to go on from.", "Write something.")
        return prompt
