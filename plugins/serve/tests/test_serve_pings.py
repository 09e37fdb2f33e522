"""A stream that has nothing to say yet shows that it lives. Driven over ASGI: the time between pings is no option."""

from __future__ import annotations

import asyncio
import json
import os

from pajamas_serve.app import create_app
from pajamas_serve.service import Service
from pajamas_serve.settings import ModelSpec, PoolSettings, ServerSettings
from serving import COUNT, count_model


def test_silence_is_filled_with_comments(monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONPATH", str(COUNT), prepend=os.pathsep)
    monkeypatch.syspath_prepend(str(COUNT))
    spec = ModelSpec(name="m", reference=count_model(tmp_path))
    settings = ServerSettings(models=(spec,), pool=PoolSettings(max_workers=1), ping_interval=0.05, request_timeout=2.0)
    sent = []

    async def send(message):
        sent.append(message)

    async def main():
        service = Service(settings)
        body = json.dumps({"prompt": "sleep", "stream": True}).encode()
        messages = [{"type": "http.request", "body": body}]

        async def receive():
            if messages:
                return messages.pop()
            await asyncio.sleep(60)

        scope = {"type": "http", "method": "POST", "path": "/v1/completions", "headers": [], "query_string": b""}
        await create_app(service)(scope, receive, send)
        await service.models.close()

    asyncio.run(main())
    head, *bodies = sent
    assert head["status"] == 200 and (b"content-type", b"text/event-stream; charset=utf-8") in head["headers"]
    frames = [message["body"] for message in bodies]
    assert frames[0].startswith(b"data: ") and frames.count(b": ping\n\n") > 3
    assert b'"code": "timeout"' in frames[-2] and frames[-1] == b""
