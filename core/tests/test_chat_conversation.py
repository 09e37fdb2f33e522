"""A conversation grows turn by turn, and survives a file."""

from __future__ import annotations

import json

import pytest

from pajamas.chat.conversation import Conversation
from pajamas.errors import PajamasError, UsageError
from pajamas.types import ToolCall

CALL = ToolCall(id="abcdefghi", name="f", arguments='{"a": 1}')


def test_turns_are_messages_and_the_older_conversation_stays():
    start = Conversation.start("Be brief.")
    asked = start.user("Hi")
    full = asked.assistant("", reasoning="Hm", tool_calls=[CALL]).tool_result(CALL, "3").assistant("Three.")

    assert full.messages == (
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": "",
            "reasoning_content": "Hm",
            "tool_calls": [{"id": "abcdefghi", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}],
        },
        {"role": "tool", "tool_call_id": "abcdefghi", "name": "f", "content": "3"},
        {"role": "assistant", "content": "Three."},
    )
    assert len(asked.messages) == 2
    assert full.reset() == start
    assert Conversation.start().user("Hi").reset() == Conversation()


def test_the_system_message_is_exchanged():
    talk = Conversation.start().user("Hi")

    assert talk.system is None
    assert talk.with_system("A").system == "A"
    assert talk.with_system("A").with_system("B").messages[0] == {"role": "system", "content": "B"}
    assert talk.with_system("A").with_system(None) == talk
    assert talk.with_system("") == talk


def test_a_file_gives_it_back(tmp_path):
    talk = Conversation.start("ß").user("水\ud800").assistant("Ok", tool_calls=[CALL])
    path = tmp_path / "talk.json"
    path.write_text("older")
    talk.save(path)

    assert Conversation.load(path) == talk
    assert [file.name for file in tmp_path.iterdir()] == ["talk.json"]


def test_a_bare_list_is_read_too(tmp_path):
    path = tmp_path / "talk.json"
    path.write_text('[{"role": "user", "content": "Hi"}]')
    assert Conversation.load(path) == Conversation().user("Hi")
    path.write_text("[]")
    assert Conversation.load(path) == Conversation()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"3", "holds no messages"),
        (b"{}", "holds no messages"),
        (b'{"messages": {}}', "holds no messages"),
        (b'["Hi"]', "cannot be used"),
        (b'[{"role": "user", "content": [{"type": "image_url"}]}]', "cannot be used"),
    ],
)
def test_bad_files_are_refused(tmp_path, content, what):
    path = tmp_path / "talk.json"
    path.write_bytes(content)

    with pytest.raises(PajamasError, match=what) as raised:
        Conversation.load(path)
    assert str(path) in raised.value.what
    assert raised.value.why
    assert raised.value.fix


def test_places_that_cannot_be_read_or_written(tmp_path):
    with pytest.raises(UsageError, match="cannot read"):
        Conversation.load(tmp_path / "none.json")
    with pytest.raises(UsageError, match="cannot write"):
        Conversation().save(tmp_path / "no" / "talk.json")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match="cannot write"):
        Conversation().save(tmp_path / "folder")
    assert [file.name for file in tmp_path.iterdir()] == ["folder"]


def test_what_is_saved_is_plain_json(tmp_path):
    path = tmp_path / "talk.json"
    Conversation().user("Hi").save(path)

    assert json.loads(path.read_text()) == {"messages": [{"role": "user", "content": "Hi"}]}
