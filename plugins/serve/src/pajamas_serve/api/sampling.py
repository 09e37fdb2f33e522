"""A request's parameters as core's records: sampling, stops, and what form the answer has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pajamas.types import Sampling
from pajamas_serve.api.requests import ChatRequest, CompletionRequest, ResponseFormat, Sampled
from pajamas_serve.errors import BadParameter

_DIRECT = (
    "temperature", "top_p", "top_k", "min_p", "typical_p", "repetition_penalty", "presence_penalty",
    "frequency_penalty",
)  # fmt: skip


def sampling(request: Sampled, choice: int = 0) -> Sampling:
    """Of the `choice`-th answer of a request: with a seed, each has the next one, so that they differ.

    Raises:
        BadParameter: a key of `logit_bias` is no token id.
    """
    seed = None if request.seed in (None, -1) else (request.seed + choice) % 2**63
    values = {name: getattr(request, name) for name in _DIRECT}
    # The values that turn a penalty off need no backend that has it.
    for name, off in (("presence_penalty", 0), ("frequency_penalty", 0), ("repetition_penalty", 1)):
        if values[name] == off:
            values[name] = None
    return Sampling(seed=seed, logit_bias=_bias(request.logit_bias or {}), **values)


def _bias(given: Mapping[str, float]) -> dict[int, float]:
    try:
        return {int(token): float(value) for token, value in given.items()}
    except ValueError:
        raise BadParameter("logit_bias", "A key of 'logit_bias' is no token id.", "Keys are numbers.") from None


def stops(request: Sampled) -> tuple[str, ...]:
    """Raises BadParameter for an empty stop string."""
    given = [request.stop] if isinstance(request.stop, str) else request.stop or []
    if "" in given:
        raise BadParameter("stop", "A stop string is empty.", "It would end every answer at once.")
    if len(given) > 64:
        raise BadParameter("stop", f"{len(given)} stop strings are too many.", "At most 64 are taken.")
    return tuple(given)


def longest(request: ChatRequest | CompletionRequest) -> int | None:
    """Tokens of the answer at most.

    Raises:
        BadParameter: its two names have two values.
    """
    both = (request.max_tokens, request.max_completion_tokens)
    if None not in both and both[0] != both[1]:
        raise BadParameter("max_tokens", "'max_tokens' and 'max_completion_tokens' are the same.", "Give one of them.")
    return both[0] if both[0] is not None else both[1]


def schema_of(format: ResponseFormat | None) -> Mapping[str, Any] | None:
    """The JSON schema that the answer must fit; None for plain text.

    Raises:
        BadParameter: the format lacks its schema, or has one that is not its own.
    """
    if format is None or format.type == "text":
        if format is not None and (format.json_schema or format.schema_ is not None):
            raise BadParameter("response_format", "A text has no schema.", "Write type json_schema.")
        return None
    if format.type == "json_object":
        if format.json_schema is not None:
            raise BadParameter("response_format.json_schema", "It belongs to type json_schema.")
        return {"type": "object"} if format.schema_ is None else format.schema_
    if format.json_schema is None or format.json_schema.schema_ is None:
        raise BadParameter(
            "response_format.json_schema.schema", "Missing required parameter: 'response_format.json_schema.schema'.",
            code="missing_required_parameter",
        )  # fmt: skip
    if format.schema_ is not None:
        raise BadParameter("response_format.schema", "It belongs to type json_object.")
    return format.json_schema.schema_


def refuse_stream_options(request: Sampled) -> None:
    """Raises BadParameter for `stream_options` without `stream`."""
    if request.stream_options is not None and not request.stream:
        raise BadParameter("stream_options", "'stream_options' is only for streams.", "Set stream to true.")
