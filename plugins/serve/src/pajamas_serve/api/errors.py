"""Errors as OpenAI's API has them: an object with message, type, param and code, and the status that goes with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from pajamas.errors import (
    ContextOverflow,
    EngineCrashed,
    ModelNotFound,
    NotEnoughMemory,
    PajamasError,
    TemplateError,
    Unsupported,
    UnsupportedFeature,
    UsageError,
)
from pajamas_serve.errors import BadParameter, PromptTooLong, TimedOut, Unavailable, UnknownModel

_LONGEST, _LONGEST_NAME = 4000, 400
"""Characters."""
_PATH = re.compile(r"(?<![\w./:])~?(?:/[^/\n'\"]+?)*/([^\s/'\",;:()]+)/?")
"""An absolute path, and the name at its end."""


@frozen(kw_only=True)
class ApiError:
    """One error, ready to be sent."""

    status: int
    type: str
    message: str
    param: str | None = None
    code: str | None = None
    retry_after: float | None = None
    figures: Mapping[str, int] = field(factory=dict)
    """What a program can do something with, under llama.cpp's server's names."""

    def body(self) -> dict[str, Any]:
        # A client may have chosen a part of it: a model's name, a parameter's.
        param = self.param if self.param is None else self.param[:_LONGEST_NAME]
        error = {"message": self.message[:_LONGEST], "type": self.type, "param": param, "code": self.code}
        return {"error": {**error, **self.figures}}

    def headers(self) -> list[tuple[bytes, bytes]]:
        headers = [] if self.retry_after is None else [(b"retry-after", str(max(1, round(self.retry_after))).encode())]
        return [*headers, (b"www-authenticate", b"Bearer")] if self.status == 401 else headers


_KINDS: tuple[tuple[type[PajamasError], int, str, str | None], ...] = (
    (UnknownModel, 404, "not_found_error", "model_not_found"),
    (Unavailable, 503, "unavailable_error", "unavailable"),
    (TimedOut, 504, "timeout_error", "timeout"),
    # The code is OpenAI's, the type llama.cpp's server's: clients look at the one or the other to shorten their prompt.
    (ContextOverflow, 400, "exceed_context_size_error", "context_length_exceeded"),
    (UnsupportedFeature, 400, "invalid_request_error", "unsupported_parameter"),
    (TemplateError, 400, "invalid_request_error", "template_error"),
    (UsageError, 400, "invalid_request_error", "invalid_value"),
    (NotEnoughMemory, 503, "unavailable_error", "insufficient_memory"),
    (EngineCrashed, 500, "server_error", "engine_crashed"),
    (ModelNotFound, 500, "server_error", "model_not_loaded"),
    (Unsupported, 500, "server_error", "model_not_loaded"),
)
"""The first class that fits says what is sent. The last two are about the server's models, not about the request."""


def api_error(error: PajamasError) -> ApiError:
    """What a client is told about `error`."""
    if isinstance(error, BadParameter):
        return ApiError(
            status=400, type="invalid_request_error", message=_message(error), param=error.parameter, code=error.code
        )
    for kind, status, name, code in _KINDS:
        if isinstance(error, kind):
            wait = error.retry_after if isinstance(error, Unavailable) else 5.0 if status == 503 else None
            param, figures = "model" if kind is UnknownModel else None, {}
            if isinstance(error, PromptTooLong):
                param, figures = error.parameter, {"n_prompt_tokens": error.tokens, "n_ctx": error.context}
            clients = status < 500 or kind in (Unavailable, TimedOut)
            return ApiError(
                status=status, type=name, message=_message(error) if clients else _own_fault(error), param=param,
                code=code, retry_after=wait, figures=figures,
            )  # fmt: skip
    return ApiError(status=500, type="server_error", message=_own_fault(error), code="engine_error")


def _message(error: PajamasError, *parts: str) -> str:
    """What core advises in terms of its command line is of no use to a client."""
    chosen = [part for part in parts or (error.what, error.why, error.fix) if part and "--" not in part]
    return " ".join(part if part.endswith((".", ":", "?")) else f"{part}." for part in chosen)


def _own_fault(error: PajamasError) -> str:
    """Of the server's models, without its paths and without what its operator could do: both are in its log."""
    return _PATH.sub(lambda path: path[1], _message(error, error.what, error.why))


UNAUTHORIZED = ApiError(
    status=401, type="authentication_error", message="The API key is missing or wrong.", code="invalid_api_key"
)
FOREIGN = ApiError(
    status=403, type="permission_error", message="Pages of this origin may not call the server.",
    code="origin_not_allowed",
)  # fmt: skip
TOO_LARGE = ApiError(
    status=413, type="invalid_request_error", message="The body is larger than this server accepts.", code="too_large"
)
ENCODED = ApiError(
    status=415, type="invalid_request_error", message="The body is compressed: this server takes it as it is.",
    code="unsupported_encoding",
)  # fmt: skip
TOO_SLOW = ApiError(
    status=408, type="timeout_error", message="The body did not arrive in time.", code="timeout"
)  # fmt: skip


def internal(request_id: str) -> ApiError:
    """A fault of the server's own, whose traceback is in its log under this id."""
    message = f"The server failed. Its log has the traceback under request id {request_id}."
    return ApiError(status=500, type="server_error", message=message, code="internal_error")
