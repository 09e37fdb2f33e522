"""A client's connection: uvicorn's, with an end to heads that do not end, and to requests whose client has left."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pajamas_serve.api.errors import ApiError

HEAD_SECONDS = 60.0
"""How long a head may take to arrive, from the connection or from its first byte on."""
HEAD_BYTES = 64 * 2**10


class Connection(HttpToolsProtocol):
    """Bodies have limits of their own, where they are read."""

    _timer: asyncio.TimerHandle | None = None
    """Runs as long as a head is waited for."""
    _size = 0
    """Bytes of it so far."""
    _answered: Any = None
    """The request that is being answered; of several that came at once, uvicorn keeps the last alone."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self.pipeline.clear()
        if self._answered is not None and not self._answered.response_complete:
            self._answered.disconnected = True
            self._answered.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._timer is not None:
            self._size += len(data)
            if self._size > HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response("The head of the request is too large.")

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP is answered as everything else that is wrong."""
        error = ApiError(status=400, type="invalid_request_error", message=msg, code="invalid_http")
        data = json.dumps(error.body()).encode()
        head = "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n"
        self.transport.write(f"{head}content-length: {len(data)}\r\n\r\n".encode() + data)
        self.transport.close()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        self._stop_waiting()
        super().on_headers_complete()

    def _await_head(self) -> None:
        self._stop_waiting()
        self._size = 0
        self._timer = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
