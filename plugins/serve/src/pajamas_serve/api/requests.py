"""What requests may say: OpenAI's parameters, and those of pajamas beyond them. Everything else is refused by name.

Names and meanings are those of OpenAI's API reference; `top_k`, `min_p`, `typical_p`, `repetition_penalty`,
`ignore_eos`, `grammar`, `cache_prompt` and `chat_template_kwargs` are those of other open servers.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

TokenId = Annotated[int, Field(ge=0, lt=2**31)]


def _off(given: Any) -> Any:
    if given is not False:
        raise ValueError("only false is supported")
    return given


Off = Annotated[Literal[False], BeforeValidator(_off)]
"""What can only be off here. Not 0, which equals it."""
Text = Annotated[str, Field(max_length=2**24)]
Texts = Annotated[list[Text], Field(fail_fast=True)]
"""The first that is no text ends the look at it: else millions of tokens would be so many errors."""
TokenIds = Annotated[list[TokenId], Field(fail_fast=True)]


class Strict(BaseModel):
    """Nothing unknown, and nothing converted: "1" is no number."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    unsupported: ClassVar[frozenset[str]] = frozenset()
    """Parameters of OpenAI's that are not offered. Clients that send them as null ask for nothing."""


class StreamOptions(Strict):
    include_usage: bool | None = None
    continuous_usage_stats: bool | None = None
    """vLLM's: the usage so far with every part."""
    include_obfuscation: Off | None = None
    """Padding against eavesdroppers that measure lengths; only "off" is offered."""


class Sampled(Strict):
    """How answers are sampled and when they end."""

    model: str | None = None
    temperature: float | None = Field(None, ge=0, le=100)
    top_p: float | None = Field(None, ge=0, le=1)
    top_k: int | None = Field(None, ge=0, lt=2**31)
    min_p: float | None = Field(None, ge=0, le=1)
    typical_p: float | None = Field(None, ge=0, le=1)
    repetition_penalty: float | None = Field(None, ge=1e-6, le=100)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    logit_bias: dict[str, Annotated[float, Field(ge=-100, le=100)]] | None = Field(None, max_length=1024)
    """Token id to a number that is added to its logit."""
    seed: int | None = Field(None, ge=-1, lt=2**63)
    """-1 draws one, as no seed does."""
    stop: Annotated[str, Field(max_length=1024)] | list[Annotated[str, Field(max_length=1024)]] | None = None
    ignore_eos: bool | None = None
    cache_prompt: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = Field(None, ge=1, le=128)
    user: str | None = None
    """Goes into the log, and nowhere else; so do the next two."""
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None


class JsonSchema(Strict):
    name: str | None = None
    description: str | None = None
    schema_: dict[str, Any] | None = Field(None, alias="schema")
    strict: bool | None = None
    """The schema is always kept to."""


class ResponseFormat(Strict):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None
    schema_: dict[str, Any] | None = Field(None, alias="schema")
    """With json_object, as llama.cpp's server takes it."""


class NamedFunction(Strict):
    name: str


class NamedTool(Strict):
    type: Literal["function"]
    function: NamedFunction


class ChatRequest(Sampled):
    """POST /v1/chat/completions."""

    unsupported = frozenset({
        "audio", "function_call", "functions", "metadata", "moderation", "prediction", "prompt_cache_retention",
        "verbosity", "web_search_options",
    })  # fmt: skip

    messages: list[dict[str, Any]] = Field(min_length=1, max_length=4096)
    """What each may hold is said by the model's chat template; a part that it would leave out is refused."""
    max_tokens: int | None = Field(None, ge=1, lt=2**31)
    max_completion_tokens: int | None = Field(None, ge=1, lt=2**31)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    response_format: ResponseFormat | None = None
    grammar: Text | None = None
    """GBNF."""
    tools: list[dict[str, Any]] | None = Field(None, max_length=256)
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    """False ends the answer after its first call."""
    chat_template_kwargs: dict[str, Any] | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high"] | None = None
    """Goes to the template that knows it; "none" turns thinking off."""
    modalities: list[Literal["text"]] | None = None
    service_tier: Literal["auto", "default"] | None = None
    store: Off | None = None


class CompletionRequest(Sampled):
    """POST /v1/completions."""

    prompt: Text | Texts | TokenIds | Annotated[list[TokenIds], Field(fail_fast=True)]
    max_tokens: int | None = Field(None, ge=0, lt=2**31)
    """16 where it is not given, as OpenAI has it; 0 is for `echo` alone."""
    max_completion_tokens: int | None = Field(None, ge=1, lt=2**31)
    """The chat's name for it, which some clients send to both."""
    echo: bool | None = None
    """Give the prompt back before the answer, with `logprobs` for its tokens too."""
    logprobs: int | None = Field(None, ge=0, le=100)
    grammar: Text | None = None
    response_format: ResponseFormat | None = None
    best_of: int | None = Field(None, ge=1, le=128)
    """Only what `n` says anyway."""
    suffix: Literal[""] | None = None


class EmbeddingRequest(Strict):
    """POST /v1/embeddings."""

    model: str | None = None
    input: Text | Texts | TokenIds | Annotated[list[TokenIds], Field(fail_fast=True)]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = Field(None, ge=1)
    """Only the model's own."""
    user: str | None = None


class TokenizeRequest(Strict):
    """POST /tokenize: the text as `content` or `prompt`, or `messages` as the chat template renders them."""

    model: str | None = None
    content: Text | None = None
    prompt: Text | None = None
    messages: list[dict[str, Any]] | None = Field(None, min_length=1, max_length=4096)
    add_special: bool | None = None
    add_special_tokens: bool | None = None
    parse_special: bool | None = None
    with_pieces: bool | None = None
    """Give each token's text too."""


class DetokenizeRequest(Strict):
    """POST /detokenize."""

    model: str | None = None
    tokens: TokenIds


class TemplateRequest(Strict):
    """POST /apply-template."""

    model: str | None = None
    messages: list[dict[str, Any]] = Field(min_length=1, max_length=4096)
    tools: list[dict[str, Any]] | None = None
    chat_template_kwargs: dict[str, Any] | None = None
