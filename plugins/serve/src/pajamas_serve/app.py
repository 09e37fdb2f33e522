"""The ASGI application: routes, who may use them, and what lives as long as the server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pajamas_serve.api.chat import chat
from pajamas_serve.api.completions import completions
from pajamas_serve.api.embeddings import embeddings
from pajamas_serve.api.endpoint import Endpoint, Handler
from pajamas_serve.api.errors import ApiError
from pajamas_serve.api.input_tokens import of_chat, of_response
from pajamas_serve.api.models import model, models
from pajamas_serve.api.openapi import openapi
from pajamas_serve.api.page import FILES, page
from pajamas_serve.api.responses import responses
from pajamas_serve.api.status import health, live, metrics, ready, status
from pajamas_serve.api.tokens import apply_template, detokenize, tokenize, tokenizer_info
from pajamas_serve.guard import Guard, stray

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp

    from pajamas_serve.service import Service

_ROUTES: tuple[tuple[str, str, Handler], ...] = (
    *(("GET", path, page) for path in FILES),
    ("GET", "/live", live),
    ("GET", "/health", health),
    ("GET", "/v1/health", health),
    ("GET", "/ready", ready),
    ("GET", "/metrics", metrics),
    ("GET", "/status", status),
    ("GET", "/openapi.json", openapi),
    ("GET", "/v1/models", models),
    ("GET", "/v1/models/{name:path}", model),
    ("POST", "/v1/chat/completions", chat),
    ("POST", "/v1/chat/completions/input_tokens", of_chat),
    ("POST", "/v1/completions", completions),
    ("POST", "/v1/responses", responses),
    ("POST", "/v1/responses/input_tokens", of_response),
    ("POST", "/v1/embeddings", embeddings),
    ("GET", "/tokenizer_info", tokenizer_info),
    ("POST", "/tokenize", tokenize),
    ("POST", "/detokenize", detokenize),
    ("POST", "/apply-template", apply_template),
)
"""Those under /v1 are there without it too, as on other servers."""

_ELSEWHERE = {
    "/completion": "POST /v1/completions", "/infill": "POST /v1/completions", "/embedding": "POST /v1/embeddings",
    "/props": "GET /v1/models and GET /tokenizer_info", "/slots": "GET /status", "/lora-adapters": "GET /v1/models",
}  # fmt: skip
"""What programs that were written for llama.cpp's server ask for."""


def create_app(service: Service) -> ASGIApp:
    """The whole application. Its lifespan starts the models' workers and ends them."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        service.models.start()
        try:
            yield
        finally:
            service.draining = True
            await service.models.close()

    routes = []
    for method, path, handler in _ROUTES:
        for shown in (path, path.removeprefix("/v1")) if path.startswith("/v1/") else (path,):
            routes.append(Route(shown, Endpoint(service, handler, path), methods=[method]))
    middleware = [Middleware(Guard, service=service)]
    if service.settings.cors_origins:
        cors = Middleware(
            CORSMiddleware, allow_origins=list(service.settings.cors_origins), allow_methods=["GET", "POST"],
            allow_headers=["*"], expose_headers=["x-request-id", "retry-after"],
        )  # fmt: skip
        middleware.insert(0, cors)

    async def unrouted(request: Request, error: Exception) -> Response:
        found = _refusal(request.method, request.url.path, known=getattr(error, "status_code", 404) == 405)
        service.finished(stray(request.scope), found.status)
        return JSONResponse(found.body(), found.status, headers=getattr(error, "headers", None))

    return Starlette(
        routes=routes, middleware=middleware, lifespan=lifespan, exception_handlers={404: unrouted, 405: unrouted}
    )


def _refusal(method: str, path: str, *, known: bool) -> ApiError:
    if not known:
        message, code = f"There is no {method} {path}.", "not_found"
        if (other := _ELSEWHERE.get(path.rstrip("/").removeprefix("/v1"))) is not None:
            message += f" It is an endpoint of llama.cpp's server; here there is {other}."
        return ApiError(status=404, type="not_found_error", message=message, code=code)
    message, code = f"{path} does not take {method}.", "method_not_allowed"
    return ApiError(status=405, type="invalid_request_error", message=message, code=code)
