"""The parser of a whole answer: raw text in, chunks with text, reasoning and tool calls out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attrs import evolve

from pajamas.chat.calls import NewId, Parser, function_schemas, random_id
from pajamas.chat.formats import THINK_TAGS, ToolFormat, is_harmony, require_tool_format, think_tags
from pajamas.chat.harmony import HarmonyParser
from pajamas.chat.hermes import HermesCalls
from pajamas.chat.llama3 import Llama3Calls
from pajamas.chat.mistral import MistralCalls
from pajamas.chat.qwen3_coder import Qwen3CoderCalls
from pajamas.chat.reasoning import ReasoningSplitter
from pajamas.types import Chunk


class ChatParser:
    """Reads one answer as it arrives, cut anywhere, and gives back each part as early as it is certain.

    Args:
        format: How tool calls are written; None leaves them in the text (no tools were offered).
        tools: The request's tools, in OpenAI's form.
        in_reasoning: The prompt ended inside the reasoning tag.
        tags: What surrounds reasoning.
        new_id: Makes the ids of calls that bring none.

    A tool call comes whole, in a chunk of its own. One that is malformed or never ends is given back as text, as the
    model wrote it.
    """

    def __init__(
        self,
        format: ToolFormat | None = None,
        *,
        tools: Iterable[Mapping[str, Any]] = (),
        in_reasoning: bool = False,
        tags: tuple[str, str] = THINK_TAGS,
        new_id: NewId = random_id,
    ) -> None:
        self._calls = _call_parser(format, tools, new_id)
        # Harmony's channels hold the reasoning too.
        self._reasoning = None if format is ToolFormat.HARMONY else ReasoningSplitter(tags, started=in_reasoning)

    def feed(self, text: str) -> list[Chunk]:
        """Take the next piece of the answer; what is certain by now, in order."""
        if self._reasoning is None:
            return self._in_text(text)
        return self._join(self._reasoning.feed(text))

    def finish(self) -> list[Chunk]:
        """The answer has ended: everything that was still held back."""
        chunks = [] if self._reasoning is None else self._join(self._reasoning.finish())
        return chunks + ([] if self._calls is None else self._calls.finish())

    def _join(self, pieces: Iterable[tuple[bool, str]]) -> list[Chunk]:
        chunks: list[Chunk] = []
        for is_reasoning, text in pieces:
            chunks += [Chunk(reasoning=text)] if is_reasoning else self._in_text(text)
        return chunks

    def _in_text(self, text: str) -> list[Chunk]:
        if self._calls is not None:
            return self._calls.feed(text)
        return [Chunk(text=text)] if text else []


def _call_parser(format: ToolFormat | None, tools: Iterable[Mapping[str, Any]], new_id: NewId) -> Parser | None:
    match format:
        case None:
            return None
        case ToolFormat.HERMES:
            return HermesCalls(new_id)
        case ToolFormat.QWEN3_CODER:
            return Qwen3CoderCalls(new_id, function_schemas(tools))
        case ToolFormat.LLAMA3:
            return Llama3Calls(new_id, function_schemas(tools))
        case ToolFormat.MISTRAL:
            return MistralCalls(new_id)
        case ToolFormat.HARMONY:
            return HarmonyParser(new_id)


def chat_parser(template: str, prompt: str, tools: Iterable[Mapping[str, Any]] = ()) -> ChatParser:
    """The parser for the answer to `prompt`, which `template` rendered.

    Raises:
        UnsupportedFeature: there are tools, and the template's call format is not known.
    """
    tools = tuple(tools)
    format = require_tool_format(template) if tools else ToolFormat.HARMONY if is_harmony(template) else None
    tags = think_tags(template)
    return ChatParser(format, tools=tools, in_reasoning=prompt.rstrip().endswith(tags[0]), tags=tags)


class ChunkParser:
    """Takes a backend's raw chunks and gives back parsed ones, which may be none or several."""

    def __init__(self, parser: ChatParser) -> None:
        self._parser = parser
        self._called = False

    def feed(self, raw: Chunk) -> list[Chunk]:
        parsed = self._parser.feed(raw.text)
        if raw.finish_reason is not None:
            parsed += self._parser.finish()
        self._called = self._called or any(chunk.tool_calls for chunk in parsed)
        # Tokens whose text is still held back are reported when they were made.
        first = parsed[0] if parsed else Chunk()
        parsed[:1] = [
            Chunk(  # not `evolve`, which would be half of what a token costs here
                text=first.text,
                token_ids=raw.token_ids,
                reasoning=first.reasoning,
                tool_calls=first.tool_calls,
                cached_tokens=raw.cached_tokens,
                logprobs=raw.logprobs,
            )
        ]
        if raw.finish_reason is not None:
            reason = "tool_calls" if self._called and raw.finish_reason == "stop" else raw.finish_reason
            parsed[-1] = evolve(parsed[-1], finish_reason=reason, usage=raw.usage)
        return parsed if parsed != [Chunk()] else []

    def finish(self) -> list[Chunk]:
        """What is held back of a stream that broke off without its last chunk."""
        return self._parser.finish()


class ParsedStream(Iterator[Chunk]):
    """A backend's raw stream, parsed. Closing it closes the backend's stream, also before the first chunk."""

    def __init__(self, chunks: Iterator[Chunk], parser: ChatParser) -> None:
        self._chunks = chunks
        self._parser = ChunkParser(parser)
        self._ready: deque[Chunk] = deque()
        self._ended = False

    def __next__(self) -> Chunk:
        while not self._ready:
            if self._ended:
                raise StopIteration
            raw = next(self._chunks, None)
            self._ended = raw is None
            self._ready.extend(self._parser.finish() if raw is None else self._parser.feed(raw))
        return self._ready.popleft()

    def close(self) -> None:
        self._ended = True
        self._ready.clear()
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()


def parse_stream(chunks: Iterator[Chunk], parser: ChatParser) -> ParsedStream:
    """Parse a backend's stream lazily. Token ids, logprobs, usage stay; calls make the finish reason `tool_calls`."""
    return ParsedStream(chunks, parser)
