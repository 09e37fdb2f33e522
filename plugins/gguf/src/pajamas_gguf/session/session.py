"""A GGUF model in llama.cpp, ready to answer, score or embed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pajamas.errors import ContextOverflow, EngineError, ModelFileError, UnsupportedFeature, UsageError
from pajamas.types import Architecture, Chunk, Feature, GenerateRequest, MemoryUse, Sampling
from pajamas_gguf import engine
from pajamas_gguf.memory_log import read_memory
from pajamas_gguf.session import embed, prompt_cache, score
from pajamas_gguf.session.answer import Answer
from pajamas_gguf.session.context import Context
from pajamas_gguf.session.features import EMBEDDING, GENERATING
from pajamas_gguf.session.grammar import Grammar
from pajamas_gguf.session.json_schema import to_grammar
from pajamas_gguf.session.model import Model
from pajamas_gguf.session.sampler import Sampler
from pajamas_gguf.session.sequence import Sequence
from pajamas_gguf.session.turn import Stream, Turn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pajamas_gguf.parameters import Parameters
    from pajamas_gguf.session.facts import Facts

_Purpose = Literal["generate", "score", "embed"]


class GGUFSession:
    """`pajamas.types.Session`. One caller at a time: another thread waits until a stream has ended or is closed.

    There is one engine context at a time. Scoring wants room for many rows of logits and generating for one, so going
    from one to the other makes the context anew (some milliseconds, and the prompt that was kept is gone).
    """

    backend = "gguf"

    def __init__(self, path: Path, facts: Facts, parameters: Parameters) -> None:
        self._path = path
        self._facts = facts
        self._parameters = parameters
        self._turn = Turn()
        self._closed = False
        self._context: Context | None = None
        self._purpose: _Purpose | None = None
        self._sequence: Sequence | None = None
        self._model = Model(path, parameters, facts.metadata)
        # Taken now, so that too little memory is known at once.
        self._take_context("embed" if parameters.embeddings else "generate")

    @cached_property
    def architecture(self) -> Architecture:
        from pajamas.architecture_gguf import architecture_of

        found = architecture_of(self._facts.header)
        if found is None:
            raise ModelFileError(f"{self._path.name} does not say what it is", "", "")
        return found

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
        context = self._open_context()
        return read_memory([*self._model.load_log, *context.log], self._model.size)

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
        self._open_context()
        return self._model.tokenize(text, add_special=add_special, parse_special=parse_special)

    def detokenize(self, token_ids: list[int]) -> str:
        self._open_context()
        return self._model.detokenize(token_ids)

    def generate(self, request: GenerateRequest) -> Stream[Chunk]:
        """A lazy stream, a chunk a token; `close` frees the session at once.

        With a seed the same request gives the same answer in any state of the session: only what makes no difference
        to the last bit is reused of an earlier prompt. The window of the penalties is 64 tokens, prompt included.

        Raises:
            ContextOverflow: prompt and one token do not fit the context; nothing was computed.
            UsageError: an option, grammar or schema that makes no sense.
            UnsupportedFeature: the session was loaded for embeddings, or the schema asks for what grammars cannot do.
            EngineError: this thread has a stream open, or the engine fails.
        """
        self._turn.check()
        self._open_context()
        if self._parameters.embeddings:
            raise UnsupportedFeature("this session embeds, it does not generate", "it was loaded for that", "load anew")
        prompt = self._prompt(request)
        room = self.context_length - len(prompt)
        if room < 1:
            raise ContextOverflow(
                f"the prompt has {len(prompt):,} tokens",
                f"the context holds {self.context_length:,}, and the answer needs at least one",
                "shorten the prompt, or load with a longer context",
            )
        limit = room if request.max_tokens is None else min(room, request.max_tokens)
        grammar_text = to_grammar(request.json_schema) if request.json_schema is not None else request.grammar
        sampler = Sampler(
            request.sampling,
            self._model.vocabulary_size,
            prompt=prompt,
            forbidden=self._model.end_tokens if request.ignore_eos else (),
            grammar=Grammar(grammar_text, self._model) if grammar_text is not None else None,
        )
        return Stream(
            self._turn,
            lambda: Answer(self._model, self._generating(), sampler, request, prompt, limit).chunks(),
            self.cancel,
        )

    def score(self, token_ids: list[int], first: int = 0) -> Stream[NDArray[np.float32]]:
        """As `Session.score`; one window, which must fit the context. A block is at most 2 MiB (or one row).

        Raises:
            ContextOverflow: the window does not fit.
            UsageError: a token or `first` out of range.
        """
        self._turn.check()
        self._open_context()
        if self._parameters.embeddings:
            raise UnsupportedFeature("this session embeds, it does not score", "it was loaded for that", "load anew")
        self._model.check_tokens(token_ids)
        if len(token_ids) > self.context_length:
            raise ContextOverflow(
                f"the window has {len(token_ids):,} tokens", f"the context holds {self.context_length:,}", "split it"
            )
        if not 0 <= first < len(token_ids):
            raise UsageError(f"position {first} is not in the window", f"it has {len(token_ids):,} tokens", "")
        return Stream(
            self._turn,
            lambda: score.blocks(self._take_context("score"), token_ids, first, self._parameters.threads),
            self.cancel,
        )

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        """As `Session.embed`: pooled as the file says, else the mean of the tokens' last hidden states.

        Raises:
            UnsupportedFeature: the session was loaded to generate.
            ContextOverflow: a text does not fit the context.
        """
        with self._turn:
            self._open_context()
            if not self._parameters.embeddings:
                raise UnsupportedFeature(
                    "this session generates, it does not embed", "the engine does one or the other",
                    "load it with embeddings=True",
                )  # fmt: skip
            size = engine.library().llama_model_n_embd_out(self._model.pointer)
            return embed.embed(self._model, self._take_context("embed"), texts, self.context_length, size)

    def save_prompt_cache(self, path: Path) -> None:
        """Write what is computed of the last prompt and its answer.

        Raises:
            UsageError: there is nothing yet.
            EngineError: the file cannot be written.
        """
        with self._turn:
            prompt_cache.save(self._generating(), path, self._fingerprint)

    def load_prompt_cache(self, path: Path) -> int:
        """As `Session.load_prompt_cache`.

        Raises:
            ModelFileError: it is damaged, or no prompt cache.
            UsageError: another model, key/value type or engine version made it.
            ContextOverflow: it is longer than this session's context.
        """
        with self._turn:
            return prompt_cache.load(self._generating(), path, self._fingerprint, self.context_length)

    def cancel(self) -> None:
        """End the answer that is being computed, from any thread: its last chunk says "cancelled"."""
        if self._context is not None:
            self._context.cancelled = True

    def close(self) -> None:
        """Free the model. An answer that is open is closed; one that another thread computes is cancelled first."""
        if self._closed:
            return
        self._turn.end_stream()
        with self._turn:
            self._closed = True
            self._drop_context()
            self._model.close()

    @cached_property
    def _fingerprint(self) -> str:
        return prompt_cache.fingerprint(self._facts.parts, self._facts.header.data_offset, self._parameters.kv_type)

    def _prompt(self, request: GenerateRequest) -> list[int]:
        if (request.prompt is None) == (request.token_ids is None):
            raise UsageError(
                "a backend needs a rendered prompt or token ids", "messages are rendered by pajamas' core", "give one"
            )
        if request.max_tokens is not None and request.max_tokens < 0:
            raise UsageError(f"max tokens {request.max_tokens} makes no sense", "it must be at least 0", "")
        if request.logprobs is not None and request.logprobs < 0:
            raise UsageError(f"{request.logprobs} log-probabilities make no sense", "it must be at least 0", "")
        if request.json_schema is not None and request.grammar is not None:
            raise UsageError("a JSON schema and a grammar exclude each other", "", "give one")
        if request.token_ids is not None:
            prompt = list(request.token_ids)
            self._model.check_tokens(prompt)
        else:
            prompt = self._model.prompt_tokens(request.prompt or "")
        if not prompt:
            raise UsageError(
                "the prompt is empty", "the model needs at least one token to go on from", "write something"
            )
        return prompt

    def _generating(self) -> Sequence:
        context = self._take_context("generate")
        if self._sequence is None:
            self._sequence = Sequence(context, 0, self._model.sliding_window)
        return self._sequence

    def _take_context(self, purpose: _Purpose) -> Context:
        """The context for this purpose, made anew if the one at hand is for another."""
        if self._closed:
            raise _closed()
        if self._context is None or self._purpose != purpose:
            self._drop_context()
            rows = score.rows_at_once(self._model.vocabulary_size) if purpose == "score" else self._parameters.sequences
            params = self._parameters.for_context(rows)
            if purpose == "embed":
                params.pooling_type = embed.pooling(self._facts.metadata)
            self._context, self._purpose = Context(self._model, self._parameters, params), purpose
        self._context.cancelled = False
        return self._context

    def _drop_context(self) -> None:
        if self._context is not None:
            self._context.close()
        self._context = self._purpose = self._sequence = None

    def _open_context(self) -> Context:
        if self._closed or self._context is None:
            raise _closed()
        return self._context

    def __enter__(self) -> GGUFSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _closed() -> EngineError:
    return EngineError("this session is closed", "its model is no longer in memory", "load it again")
