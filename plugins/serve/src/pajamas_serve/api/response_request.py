"""What POST /v1/responses may say, and the chat request that it comes to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from pajamas_serve.api.requests import ChatRequest, NamedFunction, NamedTool, Off, ResponseFormat, Strict, Text
from pajamas_serve.api.requests import JsonSchema as ChatSchema
from pajamas_serve.errors import BadParameter


class TextFormat(Strict):
    type: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    description: str | None = None
    schema_: dict[str, Any] | None = Field(None, alias="schema")
    strict: bool | None = None


class TextOptions(Strict):
    format: TextFormat | None = None
    verbosity: Literal["medium"] | None = None


class Reasoning(Strict):
    effort: Literal["none", "minimal", "low", "medium", "high"] | None = None
    summary: None = None
    """The reasoning is given as it is, not summed up."""


class FunctionTool(Strict):
    type: Literal["function"]
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class FunctionChoice(Strict):
    type: Literal["function"]
    name: str


class ResponsesRequest(Strict):
    """POST /v1/responses. Nothing is kept: a conversation is sent whole."""

    unsupported = frozenset({
        "context_management", "conversation", "max_tool_calls", "moderation", "previous_response_id", "prompt",
        "prompt_cache_retention", "stream_options",
    })  # fmt: skip

    model: str | None = None
    input: Text | Annotated[list[dict[str, Any]], Field(min_length=1, max_length=4096)]
    instructions: Text | None = None
    max_output_tokens: int | None = Field(None, ge=1, lt=2**31)
    temperature: float | None = Field(None, ge=0, le=100)
    top_p: float | None = Field(None, ge=0, le=1)
    stream: bool | None = None
    tools: list[FunctionTool] | None = Field(None, max_length=256)
    tool_choice: Literal["none", "auto", "required"] | FunctionChoice | None = None
    parallel_tool_calls: bool | None = None
    text: TextOptions | None = None
    reasoning: Reasoning | None = None
    metadata: dict[str, str] | None = None
    """Given back as it came."""
    store: Off | None = None
    background: Off | None = None
    truncation: Literal["disabled"] | None = None
    service_tier: Literal["auto", "default"] | None = None
    include: Annotated[list[Literal["message.output_text.logprobs"]], Field(max_length=16)] | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    """How many alternatives to tell for each token, where `include` asks for log-probabilities."""
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None


_IGNORED = frozenset({"id", "status", "type"})
_ITEMS = {
    "message": _IGNORED | {"role", "content"},
    "function_call": _IGNORED | {"call_id", "name", "arguments"},
    "function_call_output": _IGNORED | {"call_id", "output"},
    "reasoning": _IGNORED | {"content"},
}
"""What is read of each kind of item."""
_OWN_NAMES = {
    "messages": "input", "response_format.json_schema": "text.format", "response_format": "text.format",
    "max_tokens": "max_output_tokens", "reasoning_effort": "reasoning.effort", "chat_template_kwargs": "reasoning",
    "logprobs": "include", "tool_choice.function": "tool_choice",
}  # fmt: skip
"""What the chat's parameters are called here; the first that fits counts."""


def own_name(parameter: str | None) -> str | None:
    """Of a parameter of the chat's; a place in the messages is somewhere in the input, whose items are others."""
    for chat, own in _OWN_NAMES.items():
        if parameter is not None and re.match(rf"{re.escape(chat)}(?![a-z_])", parameter):
            return own if own == "input" else own + parameter[len(chat) :]
    return re.sub(r"(tools\[\d+\])\.function", r"\1", parameter) if parameter else parameter


def chat_request(request: ResponsesRequest) -> ChatRequest:
    """Raises BadParameter for an item of the input that cannot be given to a model here."""
    if request.top_logprobs and not request.include:
        raise BadParameter(
            "top_logprobs", "'top_logprobs' needs log-probabilities.",
            'Set include to ["message.output_text.logprobs"].',
        )  # fmt: skip
    messages = [] if request.instructions is None else [{"role": "system", "content": request.instructions}]
    if isinstance(request.input, str):
        messages.append({"role": "user", "content": request.input})
    else:
        messages += _messages(request.input)
    choice = request.tool_choice
    if isinstance(choice, FunctionChoice):
        choice = NamedTool(type="function", function=NamedFunction(name=choice.name))  # type: ignore[assignment]  # another union
    return ChatRequest.model_construct(
        **{name: field.default for name, field in ChatRequest.model_fields.items()}
        | {
            "messages": messages,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "max_tokens": request.max_output_tokens,
            "tools": [_tool(tool) for tool in request.tools or ()] or None,
            "tool_choice": choice,
            "parallel_tool_calls": request.parallel_tool_calls,
            "logprobs": bool(request.include),
            "top_logprobs": request.top_logprobs if request.include else None,
            "response_format": _format(request.text.format if request.text else None),
            "reasoning_effort": request.reasoning.effort if request.reasoning else None,
            "stream": request.stream,
            "user": request.user,
            "safety_identifier": request.safety_identifier,
            "prompt_cache_key": request.prompt_cache_key,
        }
    )


def _tool(tool: FunctionTool) -> dict[str, Any]:
    function = {name: getattr(tool, name) for name in ("name", "description", "parameters")}
    return {"type": "function", "function": {name: value for name, value in function.items() if value is not None}}


def _format(format: TextFormat | None) -> ResponseFormat | None:
    if format is None:
        return None
    schema = ChatSchema.model_construct(schema_=format.schema_) if format.type == "json_schema" else None
    return ResponseFormat.model_construct(type=format.type, json_schema=schema, schema_=None)


def _messages(items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Messages of the chat API: calls that follow each other, and reasoning, belong to one assistant's message."""
    messages: list[dict[str, Any]] = []
    for number, item in enumerate(items):
        kind = item.get("type", "message")
        _refuse_unread(item, kind, number)
        if kind == "message":
            content = _content(item.get("content"), number)
            last = messages[-1] if messages else {}
            if item.get("role") == "assistant" and set(last) == {"role", "reasoning_content"}:
                last["content"] = content
            else:
                messages.append({"role": item.get("role"), "content": content})
        elif kind == "function_call":
            function = {"name": item.get("name"), "arguments": item.get("arguments")}
            call = {"id": item.get("call_id"), "type": "function", "function": function}
            if not messages or messages[-1]["role"] != "assistant":
                messages.append({"role": "assistant", "content": None})
            messages[-1].setdefault("tool_calls", []).append(call)
        elif kind == "function_call_output":
            output = _content(item.get("output"), number)
            messages.append({"role": "tool", "tool_call_id": item.get("call_id"), "content": output})
        elif kind == "reasoning":
            messages.append({"role": "assistant", "reasoning_content": _content(item.get("content") or [], number)})
        else:
            raise BadParameter(
                f"input[{number}].type", f"An item of type {kind!r} cannot be given to the model.",
                "It takes message, function_call, function_call_output and reasoning.",
            )  # fmt: skip
    return messages


def _refuse_unread(item: Mapping[str, Any], kind: Any, number: int) -> None:
    """Nothing that an item says is passed over, but for what the server has written there itself."""
    known = _ITEMS.get(kind, frozenset()) if isinstance(kind, str) else frozenset()
    for name, value in item.items():
        if known and name not in known and value not in (None, [], ""):
            raise BadParameter(
                f"input[{number}].{name}", f"{name!r} of a {kind} cannot be given to the model.",
                f"It takes {', '.join(sorted(known - _IGNORED))}.", code="unknown_parameter",
            )  # fmt: skip


def _content(content: Any, number: int) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise BadParameter(f"input[{number}].content", "The content is neither text nor a list of parts.")
    for part in content:
        if not isinstance(part, dict) or not isinstance(part.get("text"), str):
            raise BadParameter(f"input[{number}].content", "Only parts of text can be given to the model.")
    return "\n".join(part["text"] for part in content)
