"""A model in MLX, ready to answer and to score."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pajamas.answer_stream import AnswerStream
from pajamas.batching.scheduler import WAITING_EACH, BatchScheduler
from pajamas.errors import ContextOverflow, EngineError, UsageError
from pajamas.session import BaseSession
from pajamas.stream_turn import Stream, Turn
from pajamas.types import GenerateRequest, MemoryUse
from pajamas_mlx import engine
from pajamas_mlx.batching.group import Group
from pajamas_mlx.batching.job import Job
from pajamas_mlx.batching.lane import Lane
from pajamas_mlx.session import prompt_cache, score
from pajamas_mlx.session.features import FEATURES
from pajamas_mlx.session.json_mask import Guide
from pajamas_mlx.session.model import Model
from pajamas_mlx.session.sampler import Sampler
from pajamas_mlx.session.sequence import Sequence
from pajamas_mlx.session.vocabulary import Vocabulary

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pajamas_mlx.parameters import Parameters
    from pajamas_mlx.session.facts import Facts


class MLXSession(BaseSession):
    """`pajamas.types.Session`. Any number of threads may use it at once: answers are computed side by side, and those
    that need not be exact together; one window is scored at a time.

    :param together: whether mlx-lm computes several answers of this model together as it computes each alone.
    """

    backend = "mlx"
    features = FEATURES

    def __init__(self, facts: Facts, parameters: Parameters, *, together: bool) -> None:
        self._facts = facts
        self._parameters = parameters
        self._turn = Turn()
        """For scoring."""
        self._cancelled = threading.Event()
        self._closed = False
        self.architecture = facts.architecture
        self.context_length = parameters.context_length
        self.default_sampling = facts.default_sampling
        device, places = parameters.device, parameters.sequences
        self._model = model = engine.compute(device, lambda: Model(parameters.plan))
        self._vocabulary = Vocabulary(facts.folder, facts.end_tokens, model.vocabulary_size)
        self._lane = Lane(
            lambda: Sequence(model, device, parameters.chunk),
            places=places,
            room=parameters.room,
            group=Group(model, device, places) if together and places > 1 else None,
        )
        self._scheduler: BatchScheduler[Job, Lane] = BatchScheduler([self._lane], most_waiting=WAITING_EACH * places)
        self.chat_template = self._vocabulary.chat_template
        self.special_tokens: Mapping[str, str] = self._vocabulary.special_tokens

    @property
    def memory(self) -> MemoryUse:  # type: ignore[override]  # read-only in the protocol, an attribute in the base
        """Weights, and what the key/value cache takes when the context is full: MLX lets it grow with its tokens. Its
        scratch memory, which it tells for all sessions of a process only, is not counted.
        """
        parameters = self._parameters
        count = max(parameters.room // parameters.context_length, 1)
        cache = count * self._model.cache_size(parameters.context_length)
        return MemoryUse(weights=self._model.size, kv_cache=cache, compute=0)

    def tokenize(self, text: str, *, add_special: bool = True, parse_special: bool = True) -> list[int]:
        self._check_open()
        return self._vocabulary.tokenize(text, add_special=add_special, parse_special=parse_special)

    def detokenize(self, token_ids: list[int]) -> str:
        self._check_open()
        return self._vocabulary.detokenize(token_ids)

    def generate(self, request: GenerateRequest) -> AnswerStream[Job]:
        """A lazy stream, a chunk a token; `close` frees its place at once. One may be read in each of many threads, or
        several in one: whoever waits for a chunk computes for all, up to 64 chunks ahead of the other readers.

        With `exact` or a seed the same request gives the same answer in any state of the session, alone or beside
        others: it is computed by itself, and only what makes no difference to the last bit is reused of an earlier
        prompt. Other answers can differ in near-ties. The window of the penalties is 64 tokens, prompt included.

        Raises:
            ContextOverflow: prompt and one token do not fit the context; nothing was computed.
            UsageError: an option or a schema that makes no sense.
            UnsupportedFeature: the request asks for what MLX has not, or the schema for what cannot be enforced.
            EngineError: from the stream: too many requests wait already, or the engine fails.
        """
        self._check_open()
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
        sampler = Sampler(
            request.sampling,
            self._model.vocabulary_size,
            prompt=prompt,
            forbidden=self._vocabulary.end_tokens if request.ignore_eos else (),
            mask=self._guide.mask(request.json_schema) if request.json_schema is not None else None,
        )

        def begin() -> Job:
            self._check_open()
            return Job(self._vocabulary, sampler, request, prompt, limit)

        return AnswerStream(self._scheduler, begin)

    def score(self, token_ids: list[int], first: int = 0) -> Stream[NDArray[np.float32]]:
        """As `Session.score`; one window, which must fit the context. A block is at most 4 MiB (or one row).

        Raises:
            ContextOverflow: the window does not fit.
            UsageError: a token or `first` out of range.
        """
        self._turn.check()
        self._check_open()
        self._vocabulary.check(token_ids)
        if len(token_ids) > self.context_length:
            raise ContextOverflow(
                f"The window has {len(token_ids):,} tokens.", f"The context holds {self.context_length:,}.", "Split it."
            )
        if not 0 <= first < len(token_ids):
            raise UsageError(f"Position {first} is not in the window.", f"It has {len(token_ids):,} tokens.", "")
        tokens = list(token_ids)
        return Stream(self._turn, lambda: self._score(tokens, first), self._cancelled.set)

    def save_prompt_cache(self, path: Path) -> None:
        """Write what is computed of the prompt that was begun or ended last, and of its answer.

        Raises:
            UsageError: there is nothing yet.
            EngineError: the file cannot be written.
        """
        with self._scheduler.turns:
            self._check_open()
            self._scheduler.sweep()
            prompt_cache.save(self._lane.computed_last(), self._parameters.device, path, self._fingerprint)

    def load_prompt_cache(self, path: Path) -> int:
        """As `Session.load_prompt_cache`. Exact answers do not use it.

        Raises:
            ModelFileError: it is damaged, or no prompt cache.
            UsageError: another model, compute type or engine version made it.
            ContextOverflow: it is longer than this session's context.
            EngineError: answers that are being computed leave no place for it.
        """
        with self._scheduler.turns:
            self._check_open()
            self._scheduler.sweep()
            return prompt_cache.load(
                self._lane.vacant, self._parameters.device, path, self._fingerprint, self.context_length
            )

    def cancel(self) -> None:
        """End all that is being computed, from any thread: the last chunk of each answer says "cancelled"."""
        self._scheduler.cancel_all()
        self._cancelled.set()

    def close(self) -> None:
        """Free the model. Answers that are open end as if they were cancelled."""
        if self._closed:
            return
        self._closed = True
        self._turn.end_stream()
        self._scheduler.close()
        with self._turn:
            engine.compute(self._parameters.device, self._model.free)

    @cached_property
    def _fingerprint(self) -> str:
        return prompt_cache.fingerprint(self._facts, self._parameters.plan)

    @cached_property
    def _guide(self) -> Guide:
        return Guide(self._vocabulary)

    def _prompt(self, request: GenerateRequest) -> list[int]:
        if request.max_tokens is not None and request.max_tokens < 0:
            raise UsageError(f"max_tokens {request.max_tokens} makes no sense.", "It must be at least 0.", "")
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

    def _score(self, tokens: list[int], first: int) -> Iterator[NDArray[np.float32]]:
        self._check_open()
        self._cancelled.clear()
        return score.blocks(self._model, self._parameters.device, tokens, first, self._cancelled)

    def _check_open(self) -> None:
        if self._closed:
            raise EngineError("This session is closed.", "Its model is no longer in memory.", "Load it again.")
