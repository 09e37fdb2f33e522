"""A conversation over several turns, as `pajamas chat` holds it: every change gives a new one."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from pajamas.chat.messages import normalise_messages, plain_data
from pajamas.errors import PajamasError, UsageError
from pajamas.types import Message, ToolCall


@frozen
class Conversation:
    """Messages in OpenAI's form; the system message, if there is one, comes first."""

    messages: tuple[Message, ...] = ()

    @classmethod
    def start(cls, system: str | None = None) -> Conversation:
        return cls().with_system(system)

    @property
    def system(self) -> str | None:
        first = self.messages[0] if self.messages else None
        return first["content"] if first is not None and first["role"] == "system" else None

    def with_system(self, text: str | None) -> Conversation:
        """The same turns under another system message, or under none (None or an empty text)."""
        turns = self.messages if self.system is None else self.messages[1:]
        return Conversation((({"role": "system", "content": text},) if text else ()) + turns)

    def add(self, message: Message) -> Conversation:
        return evolve(self, messages=(*self.messages, message))

    def user(self, text: str) -> Conversation:
        return self.add({"role": "user", "content": text})

    def assistant(self, text: str, *, reasoning: str = "", tool_calls: Iterable[ToolCall] = ()) -> Conversation:
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if reasoning:
            message["reasoning_content"] = reasoning
        calls = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in tool_calls
        ]
        if calls:
            message["tool_calls"] = calls
        return self.add(message)

    def tool_result(self, call: ToolCall, text: str) -> Conversation:
        return self.add({"role": "tool", "tool_call_id": call.id, "name": call.name, "content": text})

    def reset(self) -> Conversation:
        """The system message alone."""
        return Conversation(() if self.system is None else self.messages[:1])

    def save(self, path: Path) -> None:
        """Write the messages as JSON; an older file of that name stays whole until the new one is.

        Raises:
            UsageError: the file cannot be written.
        """
        text = json.dumps({"messages": plain_data(self.messages)}, ensure_ascii=False, indent=2) + "\n"
        try:
            handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
            try:
                with open(handle, "w", encoding="utf-8", errors="backslashreplace") as stream:
                    stream.write(text)
                    stream.flush()
                    os.fsync(stream.fileno())
                os.replace(beside, path)
            except BaseException:
                os.unlink(beside)
                raise
        except OSError as error:
            why = error.strerror or str(error)
            raise UsageError(f"cannot write {path}", why, "choose another file or folder") from None

    @classmethod
    def load(cls, path: Path) -> Conversation:
        """Read what `save` wrote, or a bare JSON list of messages.

        Raises:
            UsageError: there is no such file, or it does not hold messages.
        """
        fix = 'it should hold [{"role": "user", "content": "..."}, ...], alone or under "messages"'
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise UsageError(f"cannot read {path}", error.strerror or str(error), "check the path") from None
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{path} is not JSON", str(error), fix) from None
        messages = data.get("messages") if isinstance(data, Mapping) else data
        if not isinstance(messages, list):
            raise UsageError(f"{path} holds no messages", f"its JSON is a {type(data).__name__}", fix)
        try:
            if messages:
                normalise_messages(messages)
        except PajamasError as error:
            raise type(error)(f"{path} holds messages that cannot be used", error.what, error.why or fix) from None
        return cls(tuple(messages))
