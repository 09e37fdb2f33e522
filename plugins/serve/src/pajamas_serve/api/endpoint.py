"""One request over ASGI: its body under a limit, its answer or stream, and an end to the work if the client leaves."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any

from attrs import define, field, frozen

from pajamas.errors import PajamasError
from pajamas_serve.api.errors import ENCODED, TOO_LARGE, TOO_SLOW, ApiError, api_error, internal
from pajamas_serve.errors import TimedOut

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from pajamas_serve.service import Service

log = logging.getLogger("pajamas_serve.requests")

JSON = "application/json"
_BODY_SECONDS = 60.0
"""How long a body may take to arrive."""
_LINGER_SECONDS = 2.0
"""How long a client that was refused may go on sending: were the connection closed at once, it could not read why."""


@define(eq=False)
class Call:
    """One request: what came, and what is learned about it for log and metrics."""

    id: str
    route: str
    """The path's pattern, of which there are few."""
    path: str
    body: bytes = b""
    began: float = field(factory=time.perf_counter)
    model: str = ""
    """The model's own name, once it is known."""
    facts: dict[str, Any] = field(factory=dict)
    """For the log."""


@frozen(kw_only=True)
class Json:
    """A whole answer."""

    body: Any
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()


@frozen(kw_only=True)
class Raw:
    """A whole answer that is no JSON, or is it already."""

    body: bytes
    type: str
    headers: tuple[tuple[bytes, bytes], ...] = ()
    status: int = 200


@frozen(kw_only=True)
class Events:
    """Server-sent events: frames as they go over the wire, errors not among them."""

    frames: AsyncGenerator[bytes, None]


Reply = Json | Raw | Events
Handler = Callable[["Service", Call], Awaitable[Reply]]


class Endpoint:
    """An ASGI application for one route."""

    def __init__(self, service: Service, handler: Handler, route: str) -> None:
        self._service = service
        self._handler = handler
        self._route = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = Call(id=scope["state"]["request_id"], route=self._route, path=scope["path"])
        out = _Out(send, self._service.settings.ping_interval)
        try:
            if any(name == b"content-encoding" and value != b"identity" for name, value in scope["headers"]):
                raise _Refused(ENCODED)
            _check_length(scope, self._service.settings.max_body)
            call.body = await _read_body(receive, self._service.settings.max_body)
        except _Refused as refused:
            self._service.finished(call, refused.error.status)
            with suppress(Gone):
                await out.refuse(refused.error, receive)
            return
        except Gone:
            self._service.finished(call, 499)
            return
        work = asyncio.ensure_future(self._work(call, out))
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            left = not work.done()
            gone.cancel()
            work.cancel()
            await asyncio.wait((work, gone))
            self._service.finished(call, 499 if left else out.status)
        if not work.cancelled():
            work.result()

    async def _work(self, call: Call, out: _Out) -> None:
        """499 (the client has left) is nginx's code, for log and metrics only."""
        try:
            await self._answer(call, out)
        except Gone:
            out.status = 499

    async def _answer(self, call: Call, out: _Out) -> None:
        limit = self._service.settings.request_timeout
        try:
            async with asyncio.timeout(limit):
                reply = await self._handler(self._service, call)
                if isinstance(reply, Events):
                    await out.events(reply.frames)
                else:
                    await out.whole(reply)
        except TimeoutError:
            await out.error(api_error(TimedOut(f"The answer took longer than {limit:g} seconds.", "", "")))
        except PajamasError as error:
            told = api_error(error)
            if told.status >= 500:
                call.facts["error"] = " ".join(str(error).split())
            await out.error(told)
        except Gone:
            raise
        except Exception:
            log.exception("Request %s failed.", call.id)
            await out.error(internal(call.id))


class _Out:
    """What goes back over the connection, which two tasks write to: the answer's, and pings in its silence."""

    def __init__(self, send: Send, ping_interval: float) -> None:
        self._connection = send
        self._interval = ping_interval
        self.begun = False
        self._last = 0.0
        self.status = 200

    async def whole(self, reply: Json | Raw) -> None:
        if isinstance(reply, Json):
            data, kind = json.dumps(reply.body, separators=(",", ":")).encode(), JSON
        else:
            data, kind = reply.body, reply.type
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(data)).encode()), *reply.headers]
        await self._start(reply.status, headers)
        await self._send({"type": "http.response.body", "body": data})

    async def events(self, frames: AsyncGenerator[bytes, None]) -> None:
        """The head is sent with the first frame, so that what fails before it has a status of its own."""
        self._last = time.monotonic()
        pings = asyncio.ensure_future(self._ping())
        try:
            async with aclosing(frames) as stream:
                async for frame in stream:
                    await self._frame(frame)
        finally:
            pings.cancel()
        await self._send({"type": "http.response.body", "body": b""})

    async def error(self, error: ApiError) -> None:
        if not self.begun:
            await self.whole(Json(body=error.body(), status=error.status, headers=tuple(error.headers())))
            return
        self.status = error.status
        await self._frame(b"data: " + json.dumps(error.body()).encode() + b"\n\n")
        await self._send({"type": "http.response.body", "body": b""})

    async def refuse(self, error: ApiError, receive: Receive) -> None:
        """Of a request whose body was not read: the connection ends with it."""
        data = json.dumps(error.body()).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(data)).encode()),
                   (b"connection", b"close"), *error.headers()]  # fmt: skip
        await self._start(error.status, headers)
        await self._send({"type": "http.response.body", "body": data, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                while (message := await receive())["type"] == "http.request" and message.get("more_body", False):
                    pass
        await self._send({"type": "http.response.body", "body": b""})

    async def _send(self, message: Message) -> None:
        try:
            await self._connection(message)
        except OSError as error:
            raise Gone from error
        except RuntimeError as error:
            if "is closed" not in str(error):  # what uvloop says
                raise
            raise Gone from error

    async def _frame(self, frame: bytes) -> None:
        if not self.begun:
            headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache"),
                       (b"x-accel-buffering", b"no")]  # fmt: skip
            await self._start(200, headers)
        self._last = time.monotonic()
        await self._send({"type": "http.response.body", "body": frame, "more_body": True})

    async def _start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.begun = True
        self.status = status
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(self._interval - (time.monotonic() - self._last))
            if time.monotonic() - self._last >= self._interval:
                await self._frame(b": ping\n\n")


class Gone(Exception):
    """The client has left."""


class _Refused(Exception):
    def __init__(self, error: ApiError) -> None:
        super().__init__(error.message)
        self.error = error


def _check_length(scope: Scope, limit: int) -> None:
    """Raises _Refused for a body that says itself that it is too large."""
    for name, value in scope["headers"]:
        if name == b"content-length" and int(value) > limit:  # httptools has seen to it that it is a number
            raise _Refused(TOO_LARGE)


async def _read_body(receive: Receive, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            while True:
                message: Message = await receive()
                if message["type"] == "http.disconnect":
                    raise Gone
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > limit:
                    raise _Refused(TOO_LARGE)
                if not message.get("more_body", False):
                    return b"".join(parts)
    except TimeoutError:
        raise _Refused(TOO_SLOW) from None


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
