"""Keyword arguments of the library's face into the records that hooks take; nothing unknown or ill-typed passes."""

from __future__ import annotations

import difflib
import math
import numbers
from collections.abc import Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Literal, TypedDict, Union, get_args, get_origin, get_type_hints

from pajamas.errors import UsageError
from pajamas.types import GenerateRequest, LoadOptions, Message, Mode, Sampling


class LoadKeywords(TypedDict, total=False):
    """The fields of `LoadOptions`, for type checkers."""

    device: str | None
    context_length: int | None
    gpu_layers: int | None
    threads: int | None
    batch_size: int | None
    max_sequences: int | None
    kv_type: str | None
    compute_dtype: str | None
    flash_attention: bool | None
    mmap: bool
    embeddings: bool
    tensor_parallel: int | None
    pipeline_parallel: int | None
    distributed: str | None


class RequestKeywords(TypedDict, total=False):
    """The fields of `GenerateRequest` and `Sampling` but `prompt`, for type checkers."""

    messages: Sequence[Message] | None
    token_ids: Sequence[int] | None
    tools: Sequence[Mapping[str, Any]]
    mode: Mode | None
    raw: bool
    template_variables: Mapping[str, Any]
    max_tokens: int | None
    stop: str | Sequence[str]
    ignore_eos: bool
    logprobs: int | None
    json_schema: Mapping[str, Any] | None
    grammar: str | None
    cache_prompt: bool
    exact: bool
    temperature: float | None
    top_k: int | None
    top_p: float | None
    min_p: float | None
    typical_p: float | None
    repetition_penalty: float | None
    presence_penalty: float | None
    frequency_penalty: float | None
    logit_bias: Mapping[int, float]
    seed: int | None


class AnswerKeywords(LoadKeywords, RequestKeywords, total=False):
    """Both, for an operation that loads and answers."""


# Resolved here: the records' own annotations are texts or types, depending on whether cattrs has seen them.
_LOAD = get_type_hints(LoadOptions)
_SAMPLING = get_type_hints(Sampling)
_REQUEST = {name: kind for name, kind in get_type_hints(GenerateRequest).items() if name != "sampling"}


def load_options(options: Mapping[str, Any]) -> LoadOptions:
    """Raises UsageError for an option that `LoadOptions` lacks, or a value of the wrong type."""
    return LoadOptions(**{name: _checked(name, value, _LOAD) for name, value in options.items()})


def generate_request(options: Mapping[str, Any]) -> GenerateRequest:
    """A request from its own fields and those of `Sampling`, side by side.

    `stop` may be one text; lists may stand for tuples.

    Raises:
        UsageError: for an option that neither record has, or a value of the wrong type. What the values mean is
            checked later, by `operations.generation.check_request`.
    """
    known = _REQUEST | _SAMPLING
    values = dict(options)
    if isinstance(values.get("stop"), str):
        values["stop"] = (values["stop"],)
    values = {name: _checked(name, value, known) for name, value in values.items()}
    sampling = Sampling(**{name: values.pop(name) for name in list(values) if name in _SAMPLING})
    return GenerateRequest(sampling=sampling, **values)


def answer_options(options: Mapping[str, Any]) -> tuple[LoadOptions, GenerateRequest]:
    """How to load a model and what to ask it, from the fields of all three records side by side.

    Raises:
        UsageError: as `load_options` and `generate_request`.
    """
    for name in options:
        _check_name(name, _REQUEST | _SAMPLING | _LOAD)
    return (
        load_options({name: value for name, value in options.items() if name in _LOAD}),
        generate_request({name: value for name, value in options.items() if name not in _LOAD}),
    )


def check_texts(texts: Sequence[str]) -> None:
    """Raises UsageError unless it is a sequence of texts; one text is a sequence of letters, and never meant."""
    if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
        raise UsageError("What is to be embedded is not a list of texts.", "", 'Write ["one text", "another"].')


def _check_name(name: str, known: Mapping[str, Any]) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known)
        hint = f"Did you mean: {', '.join(near)}?" if near else f"Options: {', '.join(known)}."
        raise UsageError(f"There is no option {name!r}.", "An option is honoured or refused, never ignored.", hint)


def _checked(name: str, value: Any, known: Mapping[str, Any]) -> Any:
    _check_name(name, known)
    kinds = get_args(known[name]) if get_origin(known[name]) in (Union, UnionType) else (known[name],)
    if value is None and NoneType in kinds:
        return None
    fits, wanted = _test(kinds[0], value)
    if not fits:
        raise UsageError(f"The option {name!r} cannot be {value!r}.", f"It must be {wanted}.", "")
    return tuple(value) if get_origin(kinds[0]) is tuple else value


def _test(kind: Any, value: Any) -> tuple[bool, str]:
    """Whether `value` can stand where `kind` is declared, and what can, in words."""
    origin, number = get_origin(kind), not isinstance(value, bool)
    if kind is bool:
        return isinstance(value, bool), "True or False"
    if kind is int:
        return number and isinstance(value, numbers.Integral), "a whole number"
    if kind is float:
        return number and isinstance(value, numbers.Real) and not math.isnan(value), "a number"
    if kind is str:
        return isinstance(value, str), "a text"
    if origin is Literal:
        return isinstance(value, str) and value in get_args(kind), " or ".join(get_args(kind))
    if origin is tuple:
        part = get_args(kind)[0]
        fits = isinstance(value, Sequence) and not isinstance(value, str | bytes)
        return fits and all(_test(part, item)[0] for item in value), f"a list, each of it {_test(part, None)[1]}"
    key, item = get_args(kind)
    fits = isinstance(value, Mapping) and all(
        _test(key, name)[0] and (item is Any or _test(item, part)[0]) for name, part in value.items()
    )
    return fits, f"a mapping, each key {_test(key, None)[1]}"
