"""Every format is read the same however its stream is cut, gives text early, and loses nothing."""

from __future__ import annotations

import itertools
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_answers import CASES, TOOLS, parse
from pajamas.chat.formats import ToolFormat
from pajamas.chat.parser import ChatParser
from tool_answers import CODER, HARMONY, HERMES, LLAMA, MISTRAL


@pytest.mark.parametrize("name", CASES)
def test_format(name):
    format, text, options, expected = CASES[name]

    assert expected == parse(format, [text], **options)


@pytest.mark.parametrize("name", CASES)
def test_format_is_the_same_cut_anywhere(name):
    format, text, options, expected = CASES[name]

    assert expected == parse(format, list(text), **options)
    for cut in range(len(text) + 1):
        assert expected == parse(format, [text[:cut], text[cut:]], **options), cut


def test_bytes_that_are_no_characters_yet_can_be_decoded_before():
    """A stream split at every byte is what an incremental UTF-8 decoder makes of it: pieces of whole characters."""
    import codecs

    text = '<think>\nß\n</think>\n\n水🌡<tool_call>{"name": "f", "arguments": {"s": "🌡"}}</tool_call>'
    decoder = codecs.getincrementaldecoder("utf-8")()
    pieces = [decoder.decode(bytes([byte])) for byte in text.encode()]

    assert parse(HERMES, pieces) == ("ß", "水🌡", [("f", '{"s": "🌡"}', "id0")])


def test_numbers_that_cannot_be_read_and_deep_nesting_stay_text():
    for arguments in ("9" * 5000, "[" * 5000 + "]" * 5000, "{" * 20000):
        text = '<tool_call>{"name": "f", "arguments": {"a": ' + arguments + "}}</tool_call>"
        assert ("", text, []) == parse(HERMES, [text])


@pytest.mark.parametrize("format", [None, *ToolFormat])
def test_text_goes_out_at_once(format):
    parser = ChatParser(format, tools=TOOLS if format else ())
    said = ""
    for word in ("Hello", " there", " < 3", " and", " [x]", " {y}", "."):
        said += "".join(chunk.text for chunk in parser.feed(word))
        assert said.endswith(word.strip())


@pytest.mark.parametrize("format", [None, HERMES, HARMONY])
def test_reasoning_goes_out_at_once(format):
    parser = ChatParser(format, tools=TOOLS if format else ())
    parser.feed("<|channel|>analysis<|message|>" if format is HARMONY else "<think>\n")

    for word in ("First", " second", " <third>"):
        assert word == "".join(chunk.reasoning for chunk in parser.feed(word))


def test_a_call_goes_out_with_its_closing_tag():
    parser = ChatParser(HERMES, tools=TOOLS)

    assert parser.feed('<tool_call>{"name": "f"}</tool_call') == []
    assert [call.name for chunk in parser.feed(">") for call in chunk.tool_calls] == ["f"]


def test_ids_have_the_length_that_mistral_wants():
    chunks = ChatParser(HERMES, tools=TOOLS).feed('<tool_call>{"name": "f"}</tool_call>' * 2)
    ids = {call.id for chunk in chunks for call in chunk.tool_calls}

    assert len(ids) == 2
    assert all(re.fullmatch(r"[A-Za-z0-9]{9}", id) for id in ids)


FRAGMENTS = (
    "<think>", "</think>", "<tool_call>", "</tool_call>", "<function=f>", "<parameter=n>", "</parameter>",
    "</function>", "<|python_tag|>", "f.call(", ")", "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]", "<|channel|>",
    "<|message|>", "<|end|>", "<|start|>", "<|call|>", "analysis", "commentary", "to=functions.f",
    '{"name": "f", "arguments": {}}', '{"name": "f"', "[{", "}]", "{", "}", '"', "\\", "\n", " ", ";", "ß", "a", "<",
    "<t", "🌡",
)  # fmt: skip
TEXTS = st.one_of(st.text(), st.lists(st.sampled_from(FRAGMENTS)).map("".join))


@pytest.mark.parametrize("format", [None, *ToolFormat])
@given(text=TEXTS, cuts=st.lists(st.integers(0, 200)), begun=st.booleans())
def test_any_text_is_read_the_same_however_it_is_cut(format, text, cuts, begun):
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[start:end] for start, end in itertools.pairwise(edges)]
    reasoning, said, calls = parse(format, [text], in_reasoning=begun)

    assert (reasoning, said, calls) == parse(format, pieces, in_reasoning=begun)
    for _, arguments, _ in calls:
        assert isinstance(json.loads(arguments), dict)


@pytest.mark.parametrize("format", [None, HERMES, CODER, MISTRAL, LLAMA])
@given(text=st.lists(st.sampled_from([f for f in FRAGMENTS if "f" not in f])).map("".join), begun=st.booleans())
def test_nothing_but_tags_and_space_is_lost(format, text, begun):
    """No fragment names a function, so there is no call, and everything must come back."""
    reasoning, said, calls = parse(format, [text], in_reasoning=begun)

    def without_tags(text):
        return re.sub(r"</?think>|\s", "", text)

    assert calls == []
    assert without_tags(text) == without_tags(reasoning + said)
