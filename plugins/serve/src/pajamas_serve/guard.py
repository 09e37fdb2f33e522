"""Who may use the server: keys, and pages of other origins."""

from __future__ import annotations

import hmac
import ipaddress
import json
import secrets
from typing import TYPE_CHECKING

from pajamas_serve.api.endpoint import Call
from pajamas_serve.api.errors import FOREIGN, UNAUTHORIZED, ApiError
from pajamas_serve.api.page import FILES

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from pajamas_serve.service import Service

_PUBLIC = frozenset({*FILES, "/health", "/v1/health", "/live", "/ready"})
"""Open without a key: they say nothing of models or requests."""


def is_local(host: str) -> bool:
    """Whether only this machine reaches that address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """Gives every request an id, and lets in who has a key and is no page of elsewhere."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service
        self._settings = settings = service.settings
        self._keys = [key.encode() for key in (*settings.api_keys, service.token)] if settings.api_keys else []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        if scope["method"] == "POST" and not self._is_welcome(_header(scope, b"origin"), _header(scope, b"host")):
            await self._refuse(FOREIGN, scope, send_with_id)
            return
        if self._keys and scope["path"] not in _PUBLIC and not self._has_key(scope):
            await self._refuse(UNAUTHORIZED, scope, send_with_id)
            return
        await self._app(scope, receive, send_with_id)

    async def _refuse(self, error: ApiError, scope: Scope, send: Send) -> None:
        self._service.finished(stray(scope), error.status)
        await respond(error, send)

    def _has_key(self, scope: Scope) -> bool:
        """Every key is compared, each in constant time: how long it takes says nothing of how much was right."""
        value = _header(scope, b"authorization")
        given = value[7:].strip() if value[:7].lower() == b"bearer " else _header(scope, b"x-api-key")
        return any([hmac.compare_digest(given, key) for key in self._keys])

    def _is_welcome(self, origin: bytes, host: bytes) -> bool:
        """A browser sends a plain POST of any page without asking first, and says whose it is. A name that a page's
        owner lets point to this machine is no sign of being local, so without a key only addresses and localhost are.
        """
        allowed = self._settings.cors_origins
        if not origin or "*" in allowed or origin.decode("latin-1") in allowed:
            return True
        own = origin.partition(b"://")[2] == host
        return own and (bool(self._keys) or not is_local(self._settings.host) or is_local(_name(host)))


def _header(scope: Scope, wanted: bytes) -> bytes:
    return next((bytes(value) for name, value in scope["headers"] if name == wanted), b"")


def _name(host: bytes) -> str:
    """Of "localhost:8080" or "[::1]:8080"."""
    text = host.decode("latin-1")
    return text[1:].partition("]")[0] if text.startswith("[") else text.partition(":")[0]


def stray(scope: Scope) -> Call:
    """A request that came to no endpoint, for log and metrics: any path there is would be a metric of its own."""
    return Call(id=scope["state"]["request_id"], route="other", path=scope["path"])


async def respond(error: ApiError, send: Send) -> None:
    """Send a whole error."""
    data = json.dumps(error.body()).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(data)).encode()), *error.headers()]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": data})
