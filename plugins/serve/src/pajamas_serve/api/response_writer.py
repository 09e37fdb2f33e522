"""The response object of /v1/responses as it grows, and the events that tell of it."""

from __future__ import annotations

import json
from typing import Any

from pajamas.types import Chunk, TokenLogprob, ToolCall, Usage
from pajamas_serve.api.objects import chat_logprobs, new_id

_FINISHED = {"length": "max_output_tokens"}


class ResponseWriter:
    """Takes an answer's chunks and gives the events; afterwards `response` is the whole object.

    Args:
        response: the object without its output.
    """

    def __init__(self, response: dict[str, Any]) -> None:
        self.response = {**response, "status": "in_progress", "output": [], "usage": None}
        self._open: dict[str, Any] | None = None
        self._text = ""
        self._logprobs: list[dict[str, Any]] = []
        self._number = 0
        self._usage: Usage | None = None
        self._reasoning_tokens = 0

    def begin(self) -> bytes:
        return self._event("response.created", response=self.response) + self._event(
            "response.in_progress", response=self.response
        )

    def feed(self, chunk: Chunk) -> bytes:
        out = b""
        if chunk.reasoning:
            self._reasoning_tokens += len(chunk.token_ids)
            out += self._piece("reasoning", chunk.reasoning)
        if chunk.text or chunk.logprobs:
            out += self._piece("message", chunk.text, chunk.logprobs)
        for call in chunk.tool_calls:
            out += self._close() + self._call(call)
        self._usage = chunk.usage or self._usage
        if chunk.finish_reason is not None:
            out += self._close()
            self._finish(chunk.finish_reason)
            out += self._event(f"response.{self.response['status']}", response=self.response)
        return out

    def _piece(self, kind: str, text: str, entries: tuple[TokenLogprob, ...] = ()) -> bytes:
        """More of an item's text; another kind of text is another item."""
        out = b""
        if self._open is None or self._open["type"] != kind:
            out += self._close() + self._start(kind)
        self._text += text
        if kind != "message":
            return out + self._event("response.reasoning_text.delta", **self._place(), delta=text)
        logprobs = _logprobs(entries)
        self._logprobs += logprobs
        return out + self._event("response.output_text.delta", **self._place(), delta=text, logprobs=logprobs)

    def _start(self, kind: str) -> bytes:
        if kind == "message":
            self._open = {
                "id": new_id("msg_"),
                "type": kind,
                "status": "in_progress",
                "role": "assistant",
                "content": [],
            }
        else:
            self._open = {"id": new_id("rs_"), "type": kind, "status": "in_progress", "summary": [], "content": []}
        self._text, self._logprobs = "", []
        out = self._event("response.output_item.added", output_index=self._index(), item=self._open)
        return out + self._event("response.content_part.added", **self._place(), part=self._part(""))

    def _close(self) -> bytes:
        if self._open is None:
            return b""
        part, place = self._part(self._text), self._place()
        if self._open["type"] == "message":
            out = self._event("response.output_text.done", **place, text=self._text, logprobs=self._logprobs)
        else:
            out = self._event("response.reasoning_text.done", **place, text=self._text)
        out += self._event("response.content_part.done", **place, part=part)
        item = {**self._open, "status": "completed", "content": [part]}
        out += self._event("response.output_item.done", output_index=self._index(), item=item)
        self.response["output"].append(item)
        self._open = None
        return out

    def _call(self, call: ToolCall) -> bytes:
        item = {
            "id": new_id("fc_"), "type": "function_call", "status": "in_progress", "call_id": call.id,
            "name": call.name, "arguments": "",
        }  # fmt: skip
        done = {**item, "status": "completed", "arguments": call.arguments}
        place = {"output_index": self._index(), "item_id": item["id"]}
        out = self._event("response.output_item.added", output_index=self._index(), item=item)
        out += self._event("response.function_call_arguments.delta", **place, delta=call.arguments)
        out += self._event("response.function_call_arguments.done", **place, arguments=call.arguments, name=call.name)
        out += self._event("response.output_item.done", output_index=self._index(), item=done)
        self.response["output"].append(done)
        return out

    def _finish(self, reason: str) -> None:
        cut = _FINISHED.get(reason)
        self.response["status"] = "incomplete" if cut else "completed"
        self.response["incomplete_details"] = {"reason": cut} if cut else None
        if self._usage is not None:
            usage = self._usage
            self.response["usage"] = {
                "input_tokens": usage.prompt_tokens,
                "input_tokens_details": {"cached_tokens": usage.cached_tokens},
                "output_tokens": usage.completion_tokens,
                "output_tokens_details": {"reasoning_tokens": self._reasoning_tokens},
                "total_tokens": usage.prompt_tokens + usage.completion_tokens,
            }

    def _part(self, text: str) -> dict[str, Any]:
        assert self._open is not None
        if self._open["type"] == "message":
            return {"type": "output_text", "text": text, "annotations": [], "logprobs": self._logprobs}
        return {"type": "reasoning_text", "text": text}

    def _place(self) -> dict[str, Any]:
        assert self._open is not None
        return {"item_id": self._open["id"], "output_index": self._index(), "content_index": 0}

    def _index(self) -> int:
        return len(self.response["output"])

    def _event(self, type: str, **fields: Any) -> bytes:
        data = {"type": type, "sequence_number": self._number, **fields}
        self._number += 1
        return f"event: {type}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


def _logprobs(entries: tuple[TokenLogprob, ...]) -> list[dict[str, Any]]:
    """As the chat has them."""
    content: list[dict[str, Any]] = chat_logprobs(entries)["content"]
    return content
