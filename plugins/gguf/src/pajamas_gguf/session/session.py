"""A GGUF model in llama.cpp, ready to answer, score or embed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pajamas.answer_stream import AnswerStream
from pajamas.batching.scheduler import WAITING_EACH
from pajamas.errors import ContextOverflow, EngineError, ModelFileError, UnsupportedFeature, UsageError
from pajamas.stream_turn import Stream, Turn
from pajamas.types import Architecture, Feature, GenerateRequest, MemoryUse, Sampling
from pajamas_gguf import engine
from pajamas_gguf.batching.job import Job
from pajamas_gguf.batching.lane import make_lane
from pajamas_gguf.batching.scheduler import Scheduler
from pajamas_gguf.memory_log import read_memory
from pajamas_gguf.session import embed, prompt_cache, score
from pajamas_gguf.session.at_exit import leave_to_finalizers, stop_at_exit
from pajamas_gguf.session.context import Context
from pajamas_gguf.session.features import EMBEDDING, GENERATING
from pajamas_gguf.session.model import Model
from pajamas_gguf.session.pages import forget_copied
from pajamas_gguf.session.request import checked
from pajamas_gguf.session.uses import check_process

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pajamas_gguf.parameters import Parameters
    from pajamas_gguf.session.facts import Facts


class GGUFSession:
    """`pajamas.types.Session`. Any number of threads may use it at once.

    Answers are computed together, in one context; those that are to be exact one at a time in another, which takes as
    much memory again. Scoring has a context of its own too: it wants room for many rows of logits, and only one window
    is scored at a time. A context is made when it is wanted first; the first one at once, so that too little memory is
    known early.
    """

    backend = "gguf"

    def __init__(self, path: Path, facts: Facts, parameters: Parameters) -> None:
        self._path = path
        self._facts = facts
        self._parameters = parameters
        self._closed = False
        self._process = os.getpid()
        self._model = model = Model(path, parameters, facts.metadata, facts.end_tokens)
        forget_copied(model.load_log, facts.parts)
        self._scheduler = Scheduler(
            lambda exact: make_lane(model, parameters, exact=exact),
            single=parameters.sequences == 1,
            most_waiting=WAITING_EACH * parameters.sequences,
        )
        self._turn = Turn()
        """For scoring and embedding."""
        self._context: Context | None = None
        if parameters.embeddings:
            self._take_context()
        else:
            self._scheduler.lane(exact=False)
        stop_at_exit(self)

    @cached_property
    def architecture(self) -> Architecture:
        from pajamas.architecture import detect_architecture
        from pajamas.architecture_gguf import architecture_of
        from pajamas.modelfiles import LocalFiles

        header = self._facts.header
        found = architecture_of(header) if header is not None else detect_architecture(LocalFiles(self._path))
        if found is None:
            raise ModelFileError(f"{self._path.name} does not say what it is.", "", "")
        return found

    @property
    def end_tokens(self) -> frozenset[int]:
        """Ids of the tokens that end an answer."""
        return self._model.end_tokens

    @property
    def context_length(self) -> int:
        return self._parameters.context_length

    @property
    def features(self) -> frozenset[Feature]:
        if self._parameters.embeddings:
            return EMBEDDING
        return GENERATING | ({Feature.GPU_LAYERS} if self._parameters.gpus else frozenset())

    @property
    def memory(self) -> MemoryUse:
        self._check_open()
        lines = (line for context in self._contexts() for line in context.log)
        return read_memory([*self._model.load_log, *lines], self._model.size)

    @property
    def chat_template(self) -> str | None:
        return self._facts.chat_template

    @property
    def special_tokens(self) -> Mapping[str, str]:
        return self._facts.special_tokens

    @property
    def default_sampling(self) -> Sampling:
        return self._facts.default_sampling

    def tokenize(self, text: str, *, add_special: bool = True, parse_special: bool = True) -> list[int]:
        with self._model.uses:
            return self._model.tokenize(text, add_special=add_special, parse_special=parse_special)

    def detokenize(self, token_ids: list[int]) -> str:
        with self._model.uses:
            return self._model.detokenize(token_ids)

    def generate(self, request: GenerateRequest) -> AnswerStream[Job]:
        """A lazy stream, a chunk a token; `close` frees its place at once. One may be read in each of many threads, or
        several in one: whoever waits for a chunk computes for all, up to 64 chunks ahead of the other readers.

        With `exact` or a seed the same request gives the same answer in any state of the session, alone or beside
        others: it is computed by itself, and only what makes no difference to the last bit is reused of an earlier
        prompt. Other answers can differ in near-ties. The window of the penalties is 64 tokens, prompt included.

        Raises:
            ContextOverflow: the prompt and one token do not fit the context; nothing was computed.
            UsageError: an option, grammar or schema that makes no sense.
            UnsupportedFeature: the session was loaded for embeddings, or the schema asks for what grammars cannot do.
            EngineError: from the stream: too many requests wait already, or the engine fails.
        """
        self._check_open()
        if self._parameters.embeddings:
            raise UnsupportedFeature(
                "This session embeds, it does not generate.", "It was loaded for that.", "Load anew."
            )
        with self._model.uses:
            make = checked(request, self._model, self.context_length)

        def begin() -> Job:
            self._check_open()
            self._drop_idle_context()
            return make()

        return AnswerStream(self._scheduler, begin)

    def score(self, token_ids: list[int], first: int = 0) -> Stream[NDArray[np.float32]]:
        """As `Session.score`; one window, which must fit the context. A block is at most 2 MiB (or one row).

        Raises:
            ContextOverflow: the window does not fit.
            UsageError: a token or `first` out of range.
        """
        self._turn.check()
        self._check_open()
        if self._parameters.embeddings:
            raise UnsupportedFeature("This session embeds, it does not score.", "It was loaded for that.", "Load anew.")
        self._model.check_tokens(token_ids)
        if len(token_ids) > self.context_length:
            raise ContextOverflow(
                f"The window has {len(token_ids):,} tokens.", f"The context holds {self.context_length:,}.", "Split it."
            )
        if not 0 <= first < len(token_ids):
            raise UsageError(f"Position {first} is not in the window.", f"It has {len(token_ids):,} tokens.", "")
        return Stream(
            self._turn,
            lambda: score.blocks(self._take_context(), token_ids, first, self._parameters.threads),
            self._cancel_score,
        )

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        """As `Session.embed`: pooled as the file says, else the mean of the tokens' last hidden states.

        Raises:
            UnsupportedFeature: the session was loaded to generate.
            ContextOverflow: a text does not fit the context.
        """
        with self._turn:
            self._check_open()
            if not self._parameters.embeddings:
                raise UnsupportedFeature(
                    "This session generates, it does not embed.", "The engine does one or the other.",
                    "Load it with embeddings=True.",
                )  # fmt: skip
            size = engine.library().llama_model_n_embd_out(self._model.pointer)
            return embed.embed(self._model, self._take_context(), texts, self.context_length, size)

    def save_prompt_cache(self, path: Path) -> None:
        """Write what is computed of the prompt that was begun or ended last, and of its answer.

        Raises:
            UsageError: there is nothing yet.
            EngineError: the file cannot be written.
        """
        with self._scheduler.turns:
            self._check_generates()
            self._scheduler.sweep()
            prompt_cache.save(self._scheduler.last, path, self._fingerprint)

    def load_prompt_cache(self, path: Path) -> int:
        """As `Session.load_prompt_cache`. Exact answers do not use it.

        Raises:
            ModelFileError: it is damaged, or no prompt cache.
            UsageError: another model, key/value type or engine version made it.
            ContextOverflow: it is longer than this session's context.
            EngineError: answers that are being computed leave no room for it.
        """
        with self._scheduler.turns:
            self._check_generates()
            self._scheduler.sweep()
            lane = self._scheduler.lane(exact=False)
            return prompt_cache.load(lane.vacant, path, self._fingerprint, self.context_length)

    def cancel(self) -> None:
        """End all that is being computed, from any thread: the last chunk of each answer says "cancelled"."""
        self._scheduler.cancel_all()
        self._cancel_score()

    def close(self) -> None:
        """Free the model. Answers that are open end as if they were cancelled."""
        if self._closed:
            return
        self._closed = True
        self._turn.end_stream()
        self._scheduler.close()
        with self._turn:
            if self._context is not None:
                self._context.close()
            self._context = None
            self._model.close()

    def stop(self) -> None:
        """At the interpreter's exit: no thread computes from now on, so that the engine's memory can be freed."""
        if not self._closed:
            self._closed = True
            leave_to_finalizers(self._process, self._scheduler.turns, self._contexts(), self._model)

    @cached_property
    def _fingerprint(self) -> str:
        return prompt_cache.fingerprint(self._facts.parts, self._facts.data_offset, self._parameters.kv_type)

    def _take_context(self) -> Context:
        """The context for scoring, or that for embedding."""
        self._check_open()
        if self._context is None:
            parameters = self._parameters
            with self._scheduler.turns:
                self._scheduler.drop_unused()
            rows = 1 if parameters.embeddings else score.rows_at_once(self._model.vocabulary_size)
            params = parameters.for_one(rows)
            if parameters.embeddings:
                params.pooling_type = embed.pooling(self._facts.metadata)
            self._context = Context(self._model, parameters, params, self._scheduler.turns)
        self._context.cancelled = False
        return self._context

    def _contexts(self) -> list[Context]:
        scoring = self._context
        return [*(lane.context for lane in list(self._scheduler.lanes)), *([scoring] if scoring is not None else [])]

    def _drop_idle_context(self) -> None:
        """Free the memory that scoring has taken, if nobody scores now."""
        if self._context is not None and self._turn.take_now():
            try:
                if self._context is not None:
                    self._context.close()
                self._context = None
            finally:
                self._turn.leave()

    def _cancel_score(self) -> None:
        if (context := self._context) is not None:
            context.cancelled = True

    def _check_open(self) -> None:
        if self._closed:
            raise EngineError("This session is closed.", "Its model is no longer in memory.", "Load it again.")
        check_process(self._process)

    def _check_generates(self) -> None:
        self._check_open()
        if self._parameters.embeddings:
            raise UnsupportedFeature(
                "This session embeds, it keeps no prompts.", "It was loaded for that.", "Load anew."
            )

    def __enter__(self) -> GGUFSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
