"""A backend's stream, parsed: lazily, with its numbers, closed when the reader goes."""

from __future__ import annotations

from pajamas.chat.formats import ToolFormat
from pajamas.chat.parser import ChatParser, parse_stream
from pajamas.types import Chunk, TokenLogprob, Usage

CALL = '<tool_call>{"name": "f"}</tool_call>'
USAGE = Usage(prompt_tokens=3, completion_tokens=4)


class Stream:
    """What a session's `generate` gives: an iterator with `close`."""

    def __init__(self, *chunks):
        self.left = list(chunks)
        self.closed = False

    def __iter__(self):
        return self

    def __next__(self):
        if not self.left:
            raise StopIteration
        return self.left.pop(0)

    def close(self):
        self.closed = True


def raw(text, token, **fields):
    logprob = TokenLogprob(token_id=token, token=text, bytes=text.encode(), logprob=-1.0)
    return Chunk(text=text, token_ids=(token,), logprobs=(logprob,), **fields)


def parsed(*chunks, format=None):
    tools = [{"name": "f"}] if format else ()
    return list(parse_stream(Stream(*chunks), ChatParser(format, tools=tools)))


def test_tokens_and_logprobs_are_kept_once_each():
    pieces = ("<think>", "\n", "Hm", "\n</", "think>", "\n\nHi", "<", "/b>")
    chunks = parsed(*(raw(text, token) for token, text in enumerate(pieces)), Chunk(finish_reason="stop", usage=USAGE))

    assert [(token,) for token in range(len(pieces))] == [chunk.token_ids for chunk in chunks if chunk.token_ids]
    assert [-1.0] * len(pieces) == [logprob.logprob for chunk in chunks for logprob in chunk.logprobs]
    assert "".join(chunk.reasoning for chunk in chunks) == "Hm"
    assert "".join(chunk.text for chunk in chunks) == "Hi</b>"
    assert [None] * (len(chunks) - 1) == [chunk.finish_reason for chunk in chunks[:-1]]
    assert (chunks[-1].finish_reason, chunks[-1].usage) == ("stop", USAGE)


def test_calls_are_the_reason_to_finish():
    for last, expected in (("stop", "tool_calls"), ("length", "length"), ("cancelled", "cancelled")):
        chunks = parsed(raw(CALL, 1), Chunk(finish_reason=last, usage=USAGE), format=ToolFormat.HERMES)

        assert [call.name for chunk in chunks for call in chunk.tool_calls] == ["f"]
        assert (chunks[-1].finish_reason, chunks[-1].usage) == (expected, USAGE)
    assert parsed(raw("Hi", 1), Chunk(finish_reason="stop"), format=ToolFormat.HERMES)[-1].finish_reason == "stop"


def test_what_is_held_back_comes_with_the_last_chunk():
    chunks = parsed(raw("Hi <tool", 1), raw("_call>", 2, finish_reason="length"), format=ToolFormat.HERMES)

    assert "".join(chunk.text for chunk in chunks) == "Hi <tool_call>"
    assert chunks[-1].finish_reason == "length"


def test_a_stream_without_its_last_chunk_loses_nothing():
    assert "".join(chunk.text for chunk in parsed(raw("Hi <thi", 1))) == "Hi <thi"


def test_nothing_is_read_before_it_is_asked_for():
    stream = Stream(raw("a", 1), raw("b", 2), raw("c", 3))
    chunks = parse_stream(stream, ChatParser())

    assert len(stream.left) == 3
    assert next(chunks).text == "a"
    assert len(stream.left) == 2


def test_closing_closes_the_backends_stream():
    for read in (0, 1):
        stream = Stream(raw("a", 1), raw("b", 2))
        chunks = parse_stream(stream, ChatParser())
        for _ in range(read):
            next(chunks)
        chunks.close()

        assert stream.closed
        assert list(chunks) == []


def test_a_plain_iterator_will_do():
    assert [chunk.text for chunk in parse_stream(iter([raw("a", 1)]), ChatParser())] == ["a"]
