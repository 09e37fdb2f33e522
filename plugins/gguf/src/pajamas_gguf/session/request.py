"""A request, held against the model before anything is computed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from pajamas.errors import ContextOverflow
from pajamas_gguf.batching.job import Job
from pajamas_gguf.session.grammar import Grammar
from pajamas_gguf.session.json_schema import to_grammar
from pajamas_gguf.session.prompt import prompt_of
from pajamas_gguf.session.sampler import Sampler

if TYPE_CHECKING:
    from pajamas.types import GenerateRequest
    from pajamas_gguf.session.model import Model


def checked(request: GenerateRequest, model: Model, context_length: int) -> Callable[[], Job]:
    """What makes the request's job, once.

    Raises:
        ContextOverflow: the prompt and one token do not fit the context.
        UsageError: an option, grammar or schema that makes no sense.
        UnsupportedFeature: the schema asks for what grammars cannot do.
    """
    prompt = prompt_of(request, model)
    room = context_length - len(prompt)
    if room < 1:
        raise ContextOverflow(
            f"The prompt has {len(prompt):,} tokens.",
            f"The context holds {context_length:,}, and the answer needs at least one.",
            "Shorten the prompt, or load with a longer context.",
        )
    limit = room if request.max_tokens is None else min(room, request.max_tokens)
    grammar = to_grammar(request.json_schema) if request.json_schema is not None else request.grammar
    sampler = Sampler(
        request.sampling,
        model.vocabulary_size,
        prompt=prompt,
        forbidden=model.end_tokens if request.ignore_eos else (),
        grammar=Grammar(grammar, model) if grammar is not None else None,
    )
    return partial(Job, model, sampler, request, prompt, limit)
