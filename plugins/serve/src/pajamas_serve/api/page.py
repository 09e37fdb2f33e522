"""GET /: the page, and the two files that it loads. It asks nothing of any other host."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from pajamas_serve.api.endpoint import Raw

if TYPE_CHECKING:
    from pajamas_serve.api.endpoint import Call, Reply
    from pajamas_serve.service import Service

FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page/style.css": ("style.css", "text/css; charset=utf-8"),
    "/page/chat.js": ("chat.js", "text/javascript; charset=utf-8"),
}
_HEADERS = (
    (b"content-security-policy", b"default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-cache"),
)


async def page(service: Service, call: Call) -> Reply:
    name, kind = FILES[call.path]
    return Raw(body=_read(name), type=kind, headers=_HEADERS)


@cache
def _read(name: str) -> bytes:
    return files("pajamas_serve").joinpath("page", name).read_bytes()
