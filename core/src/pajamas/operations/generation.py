"""From a request to an answer: check it, render it, fill its sampling, stream it, take it apart."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator

from attrs import asdict, evolve, frozen

from pajamas.chat import mode, parser, stops, template
from pajamas.dispatch import unsupported
from pajamas.errors import UnsupportedFeature, UsageError
from pajamas.needs import needed_features as needed_features
from pajamas.plugins import PluginHost
from pajamas.types import (
    Chunk,
    Feature,
    FinishReason,
    GenerateRequest,
    Mode,
    Sampling,
    Session,
    TokenLogprob,
    ToolCall,
    Usage,
)

log = logging.getLogger(__name__)


@frozen(kw_only=True)
class GenerateResult:
    """A whole answer: the join of its stream."""

    text: str
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    finish_reason: FinishReason | None = None
    usage: Usage | None = None


def join(chunks: Iterable[Chunk]) -> GenerateResult:
    parts = list(chunks)
    last = parts[-1] if parts else Chunk()
    return GenerateResult(
        text="".join(part.text for part in parts),
        reasoning="".join(part.reasoning for part in parts),
        tool_calls=tuple(call for part in parts for call in part.tool_calls),
        token_ids=tuple(token for part in parts for token in part.token_ids),
        logprobs=tuple(entry for part in parts for entry in part.logprobs),
        finish_reason=last.finish_reason,
        usage=last.usage,
    )


def _given(sampling: Sampling) -> str:
    values = asdict(sampling, recurse=False, filter=lambda _, value: value not in (None, {}))
    return ", ".join(f"{name} {value}" for name, value in values.items())


def check_request(request: GenerateRequest) -> None:
    """Raises UsageError, naming the option, for values that make no sense whatever the model."""
    given = [request.prompt is not None, request.messages is not None, request.token_ids is not None]
    if sum(given) != 1:
        raise UsageError("A request has one of prompt, messages and token_ids.", f"{sum(given)} are given.", "")
    if request.json_schema is not None and request.grammar is not None:
        raise UsageError("A request has a JSON schema or a grammar, not both.", "", "Leave one of them out.")
    sampling = request.sampling
    for name, value, low, high in (
        ("temperature", sampling.temperature, 0.0, None),
        ("top-k", sampling.top_k, 0, None),
        ("top-p", sampling.top_p, 0.0, 1.0),
        ("min-p", sampling.min_p, 0.0, 1.0),
        ("typical-p", sampling.typical_p, 0.0, 1.0),
        ("repetition-penalty", sampling.repetition_penalty, 0.0, None),
        ("presence-penalty", sampling.presence_penalty, -2.0, 2.0),
        ("frequency-penalty", sampling.frequency_penalty, -2.0, 2.0),
        ("max-tokens", request.max_tokens, 1, None),
        ("logprobs", request.logprobs, 0, None),
    ):
        # Written so that NaN fails too; and no option of these means anything when it is infinite.
        if value is not None and not (low <= value < math.inf and (high is None or value <= high)):
            bounds = f"from {low} to {high}" if high is not None else f"{low} or more"
            raise UsageError(f"{name} cannot be {value}.", f"It must be {bounds}.", "")
    if any(not text for text in request.stop):
        raise UsageError("A stop string is empty.", "It would stop every answer at once.", "Leave it out.")


def stream(session: Session, request: GenerateRequest, *, host: PluginHost | None = None) -> Iterator[Chunk]:
    """Answer one request: text, reasoning and tool calls apart, as they come.

    The request is checked and rendered before this returns; tokens are computed as the stream is read.

    Raises:
        UsageError: an option makes no sense.
        UnsupportedFeature: the session or its model's template cannot honour an option.
        TemplateError: the chat template fails on these messages.
        ContextOverflow, EngineError: from the stream.
    """
    check_request(request)
    host = host or PluginHost()
    check_features(host, session, needed_features(request))
    ready, reader = prepare(session, request)
    log.info("Mode %s, sampling: %s.", request.mode or "by the template", _given(ready.sampling) or "the backend's own")
    backend = host.backend(session.backend)
    if reader is None:
        return backend.generate(session, ready)
    if ready.stop and mode.resolved_mode(session.chat_template, request.mode) != "non-thinking":
        tokens = len(session.tokenize(ready.prompt or ""))
        chunks = parser.parse_stream(backend.generate(session, evolve(ready, stop=())), reader)
        return stops.StoppedStream(chunks, ready.stop, tokens)
    return parser.parse_stream(backend.generate(session, ready), reader)


def prepare(session: Session, request: GenerateRequest) -> tuple[GenerateRequest, parser.ChatParser | None]:
    """The request as a backend takes it, and what takes its answer apart (None where the answer is plain text).

    Raises:
        UnsupportedFeature: the model's template, or a raw prompt, cannot honour an option.
        TemplateError: the chat template fails on these messages.
    """
    source = session.chat_template
    family = session.architecture.family
    as_chat = not request.raw and request.token_ids is None and (source is not None or request.messages is not None)
    if not as_chat:
        _refuse_chat_options(request, source)
        sampling = mode.default_sampling(request.sampling, None, family, session.default_sampling)
        return evolve(request, sampling=sampling), None
    if source is None:
        raise UnsupportedFeature(
            "This model has no chat template.",
            "It is a base model: it continues text and knows no messages.",
            "Send one prompt instead of messages.",
        )
    wanted = _mode(request, source)
    template.check_variables(request.template_variables)
    prompt = template.render(
        source,
        request.messages if request.messages is not None else ({"role": "user", "content": request.prompt},),
        tools=request.tools,
        special_tokens=session.special_tokens,
        **{**mode.mode_variables(source, wanted), **request.template_variables},
    )
    reader = parser.chat_parser(source, prompt, request.tools)
    used = mode.resolved_mode(source, wanted)
    sampling = mode.default_sampling(request.sampling, used, family, session.default_sampling)
    return evolve(request, prompt=prompt, messages=None, sampling=sampling), reader


def _refuse_chat_options(request: GenerateRequest, source: str | None) -> None:
    """Tools, modes and template variables live in the chat template: without it they would be ignored."""
    given = {
        "tools": request.tools,
        "messages": request.messages is not None and request.raw,
        "a mode": request.mode,
        "template variables": request.template_variables,
    }
    for what, value in given.items():
        if value:
            why = "It has no chat template." if source is None else "A raw prompt is sent without the chat template."
            raise UnsupportedFeature(f"This prompt cannot have {what}.", why, "Leave it out, or leave --raw out.")


def _mode(request: GenerateRequest, source: str) -> Mode | None:
    """The mode to ask for. A schema or grammar describes the whole answer, which leaves no room for reasoning."""
    if request.json_schema is None and request.grammar is None:
        return request.mode
    if request.mode == "thinking":
        raise UnsupportedFeature(
            "A JSON schema or grammar cannot be combined with thinking mode.",
            "It constrains every token, the reasoning too.",
            "Use --mode non-thinking.",
        )
    switched = mode.thinking(source) is mode.Thinking.SWITCHED
    return "non-thinking" if switched else request.mode


def check_features(host: PluginHost, session: Session, needs: Iterable[Feature]) -> None:
    """Raises UnsupportedFeature for what the session lacks; the message names the other backends that have it."""
    missing = frozenset(needs) - session.features
    if missing:
        raise unsupported(host, session.backend, missing, session.features)
