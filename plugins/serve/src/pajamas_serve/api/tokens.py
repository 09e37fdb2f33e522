"""POST /tokenize, /detokenize and /apply-template; GET /tokenizer_info."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pajamas.types import GenerateRequest
from pajamas_serve.api import chat_template, tools
from pajamas_serve.api.body import received
from pajamas_serve.api.endpoint import Json
from pajamas_serve.api.messages import messages
from pajamas_serve.api.requests import DetokenizeRequest, TemplateRequest, TokenizeRequest
from pajamas_serve.api.running import check_text, prepared
from pajamas_serve.errors import BadParameter

if TYPE_CHECKING:
    from pajamas.worker.protocol import Facts
    from pajamas_serve.api.endpoint import Call, Reply
    from pajamas_serve.service import Service


async def tokenize(service: Service, call: Call) -> Reply:
    """Tokens of a text as it stands (`content`, `prompt`), or as it is sent to the model (`messages`)."""
    request = await received(TokenizeRequest, call.body)
    given = [name for name in ("content", "prompt", "messages") if getattr(request, name) is not None]
    if len(given) != 1:
        raise BadParameter("content", "Give one of 'content', 'prompt' and 'messages'.")
    pool = service.pool(call, request.model)
    facts = await pool.learn()
    special = _add_special(request, default=request.content is None)
    text = request.content if request.content is not None else request.prompt
    if request.messages is not None:
        text = await _rendered(facts, TemplateRequest(messages=request.messages), len(call.body))
    assert text is not None
    check_text(text, given[0])
    async with pool.any_worker() as worker:
        tokens = await worker.tokenize(text, add_special=special, parse_special=request.parse_special is not False)
        body: dict[str, Any] = {"tokens": tokens, "count": len(tokens), "max_model_len": facts.context_length}
        if request.with_pieces:
            pieces = await pool.pieces.of(worker, tokens)
            body["tokens"] = [{"id": token, "piece": pieces[token]} for token in tokens]
    return Json(body=body)


def _add_special(request: TokenizeRequest, *, default: bool) -> bool:
    """Two servers, two names, two defaults: `content` is llama.cpp's and adds none, `prompt` is vLLM's and does."""
    if request.add_special is not None and request.add_special_tokens is not None:
        raise BadParameter("add_special", "'add_special' and 'add_special_tokens' are the same.", "Give one of them.")
    for given in (request.add_special, request.add_special_tokens):
        if given is not None:
            return given
    return default


async def detokenize(service: Service, call: Call) -> Reply:
    request = await received(DetokenizeRequest, call.body)
    pool = service.pool(call, request.model)
    await pool.learn()
    async with pool.any_worker() as worker:
        text = await worker.detokenize(request.tokens) if request.tokens else ""
    return Json(body={"content": text, "prompt": text})


async def tokenizer_info(service: Service, call: Call) -> Reply:
    """Of the first model, which answers where none is named. What lm-eval needs to work without a tokenizer of its own;
    the names are those of vLLM's server, which took them from transformers' tokenizer_config.json.
    """
    facts = await service.pool(call, None).learn()
    special = {name: facts.special_tokens.get(name) for name in ("bos_token", "eos_token", "pad_token", "unk_token")}
    return Json(body={**special, "chat_template": facts.chat_template, "model_max_length": facts.context_length})


async def apply_template(service: Service, call: Call) -> Reply:
    """The prompt that a chat would be sent as."""
    request = await received(TemplateRequest, call.body)
    facts = await service.pool(call, request.model).learn()
    return Json(body={"prompt": await _rendered(facts, request, len(call.body))})


async def _rendered(facts: Facts, request: TemplateRequest, size: int) -> str:
    mode, variables = chat_template.variables(request.chat_template_kwargs, None, facts)
    wanted = GenerateRequest(
        messages=tuple(messages(request.messages, facts.chat_template or "")),
        tools=tools.choice_of(None, request.tools).tools,
        mode=mode,
        template_variables=variables,
    )
    return (await prepared(facts, wanted, size)).request.prompt or ""
