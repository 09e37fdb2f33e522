"""GET /openapi.json: what the server takes and gives, from the same models that check the requests."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from pajamas_serve.api.endpoint import Json
from pajamas_serve.api.requests import (
    ChatRequest,
    CompletionRequest,
    DetokenizeRequest,
    EmbeddingRequest,
    TemplateRequest,
    TokenizeRequest,
)
from pajamas_serve.api.response_request import ResponsesRequest

if TYPE_CHECKING:
    from pajamas_serve.api.endpoint import Call, Reply
    from pajamas_serve.service import Service

_BODIES: dict[str, type[BaseModel]] = {
    "/v1/chat/completions": ChatRequest,
    "/v1/chat/completions/input_tokens": ChatRequest,
    "/v1/completions": CompletionRequest,
    "/v1/responses": ResponsesRequest,
    "/v1/responses/input_tokens": ResponsesRequest,
    "/v1/embeddings": EmbeddingRequest,
    "/tokenize": TokenizeRequest,
    "/detokenize": DetokenizeRequest,
    "/apply-template": TemplateRequest,
}
_READS = {
    "/v1/models": "The models that may be named.",
    "/tokenizer_info": "Special tokens and chat template of the first model.",
    "/health": "Whether the server has started.",
    "/live": "Whether it runs.",
    "/ready": "Whether a request would be answered now.",
    "/status": "The state of every model's workers.",
}
_ERRORS = {
    "400": "The request cannot be honoured; the error names the parameter.",
    "401": "The API key is missing or wrong.",
    "404": "There is no such model or path.",
    "413": "The body is too large.",
    "415": "The body is compressed.",
    "500": "The engine or the server failed.",
    "503": "Not now: ask again after the time in Retry-After.",
    "504": "The answer took too long.",
}
_STREAMS = ("/v1/chat/completions", "/v1/completions", "/v1/responses")


async def openapi(service: Service, call: Call) -> Reply:
    return Json(body=document())


@cache
def document() -> dict[str, Any]:
    """OpenAPI 3.1."""
    schemas, shared = models_json_schema(
        [(kind, "validation") for kind in _BODIES.values()], ref_template="#/components/schemas/{model}"
    )
    paths: dict[str, Any] = {}
    for path, kind in _BODIES.items():
        body = {"required": True, "content": {"application/json": {"schema": schemas[kind, "validation"]}}}
        answer: dict[str, Any] = {"application/json": {"schema": {"type": "object"}}}
        if path in _STREAMS:
            answer["text/event-stream"] = {}
        summary = (kind.__doc__ or "").partition("\n")[0]
        paths[path] = {"post": {"summary": summary, "requestBody": body, "responses": _responses(answer)}}
    for path, summary in _READS.items():
        answer = {"application/json": {"schema": {"type": "object"}}}
        paths[path] = {"get": {"summary": summary, "responses": _responses(answer)}}
    paths["/metrics"] = {"get": {"summary": "Figures for Prometheus.", "responses": _responses({"text/plain": {}})}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "pajamas serve", "version": version("pajamas-serve")},
        "paths": paths,
        "security": [{"key": []}, {}],
        "components": {
            "schemas": {**shared.get("$defs", {}), "Error": _error()},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _responses(answer: dict[str, Any]) -> dict[str, Any]:
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    failures = {status: {"description": why, "content": error} for status, why in _ERRORS.items()}
    return {"200": {"description": "The answer.", "content": answer}, **failures}


def _error() -> dict[str, Any]:
    text = {"type": ["string", "null"]}
    fields = {"message": {"type": "string"}, "type": {"type": "string"}, "param": text, "code": text}
    inner = {"type": "object", "properties": fields, "required": list(fields)}
    return {"type": "object", "properties": {"error": inner}, "required": ["error"]}
