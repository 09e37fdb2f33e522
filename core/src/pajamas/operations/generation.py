"""From a request to an answer: check it, render it, fill its sampling, stream it, take it apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from attrs import evolve, frozen

from pajamas.chat import mode, parser, template
from pajamas.errors import UnsupportedFeature, UsageError
from pajamas.plugins import PluginHost
from pajamas.types import (
    Chunk,
    Feature,
    FinishReason,
    GenerateRequest,
    Message,
    Session,
    TokenLogprob,
    ToolCall,
    Usage,
)


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


_SAMPLING_FEATURES = {
    "top_k": Feature.TOP_K,
    "min_p": Feature.MIN_P,
    "typical_p": Feature.TYPICAL_P,
    "repetition_penalty": Feature.REPETITION_PENALTY,
    "presence_penalty": Feature.PRESENCE_PENALTY,
    "frequency_penalty": Feature.FREQUENCY_PENALTY,
    "seed": Feature.SEED,
}


def needed_features(request: GenerateRequest) -> frozenset[Feature]:
    """What a backend must support to honour every option of the request."""
    needs = {feature for name, feature in _SAMPLING_FEATURES.items() if getattr(request.sampling, name) is not None}
    needs |= {Feature.LOGIT_BIAS} if request.sampling.logit_bias else set()
    needs |= {Feature.IGNORE_EOS} if request.ignore_eos else set()
    needs |= {Feature.LOGPROBS} if request.logprobs is not None else set()
    needs |= {Feature.JSON_SCHEMA} if request.json_schema is not None else set()
    needs |= {Feature.GRAMMAR} if request.grammar is not None else set()
    needs |= {Feature.TOOLS} if request.tools else set()
    needs |= {Feature.THINKING} if request.mode == "thinking" else set()
    return frozenset(needs)


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
        # Written so that NaN fails too.
        if value is not None and not (value >= low and (high is None or value <= high)):
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
    _check_features(session, needed_features(request))
    host = host or PluginHost()
    ready, reader = prepare(session, request)
    chunks = host.backend(session.backend).generate(session, ready)
    return parser.parse_stream(chunks, reader) if reader else chunks


def prepare(session: Session, request: GenerateRequest) -> tuple[GenerateRequest, parser.ChatParser | None]:
    """The request as a backend takes it, and what takes its answer apart (None where the answer is plain text)."""
    source = session.chat_template
    as_chat = not request.raw and request.token_ids is None and (source is not None or request.messages is not None)
    family = session.architecture.family
    if not as_chat:
        if request.tools or request.mode == "thinking":
            what = "tools" if request.tools else "thinking mode"
            raise UnsupportedFeature(
                f"A raw prompt cannot have {what}.", "It is sent without the chat template.", "Leave --raw out."
            )
        sampling = mode.default_sampling(request.sampling, None, family, session.default_sampling)
        return evolve(request, sampling=sampling), None
    if source is None:
        raise UnsupportedFeature(
            "This model has no chat template.",
            "It is a base model: it continues text and knows no messages.",
            "Send one prompt instead, with --raw.",
        )
    chosen = _mode(request, source)
    variables = {**mode.template_variables(chosen, source), **request.template_variables}
    prompt = template.render(
        source,
        _messages(request),
        tools=request.tools,
        add_generation_prompt=True,
        special_tokens=session.special_tokens,
        **variables,
    )
    ready = evolve(
        request,
        prompt=prompt,
        messages=None,
        sampling=mode.default_sampling(request.sampling, chosen, family, session.default_sampling),
    )
    return ready, parser.ChatParser.for_prompt(source, prompt, tools=request.tools)


def _mode(request: GenerateRequest, source: str) -> Any:
    """The mode that holds: a schema or grammar describes the whole answer, which leaves no room for reasoning."""
    thinks = mode.supports_thinking(source)
    if request.mode == "thinking" and not thinks:
        raise UnsupportedFeature(
            "This model has no thinking mode.", "Its chat template knows no reasoning.", "Leave --mode thinking out."
        )
    if request.json_schema is None and request.grammar is None:
        return request.mode or ("thinking" if thinks else None)
    if request.mode == "thinking":
        raise UnsupportedFeature(
            "A JSON schema or grammar cannot be combined with thinking mode.",
            "It constrains every token, the reasoning too.",
            "Use --mode non-thinking.",
        )
    return "non-thinking" if thinks else None


def _messages(request: GenerateRequest) -> tuple[Message, ...]:
    if request.messages is not None:
        return request.messages
    return ({"role": "user", "content": request.prompt},)


def _check_features(session: Session, needs: frozenset[Feature]) -> None:
    missing = sorted(feature.value for feature in needs - session.features)
    if missing:
        raise UnsupportedFeature(
            f"Backend {session.backend!r} does not support {', '.join(missing)}.",
            "An option is honoured or refused, never ignored.",
            "Leave it out, or see `pajamas plugins` for a backend that supports it.",
        )
