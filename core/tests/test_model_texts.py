"""The evaluation text that a model brings along."""

from __future__ import annotations

import json

import pytest

from pajamas.errors import ModelFileError
from pajamas.model_texts import evaluation_text


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    return tmp_path


def conversation(*contents):
    return json.dumps({"messages": [{"role": "user", "content": content} for content in contents]})


def test_contents_are_joined_by_newlines_and_conversations_by_blank_lines(folder):
    (folder / "eval.jsonl").write_text(f"{conversation('a', 'b')}\n\n{conversation('ç')}\n", encoding="utf-8")

    found = evaluation_text(folder)

    assert found.text == "a\nb\n\nç"
    assert found.path == folder / "eval.jsonl"


def test_a_folder_without_one_or_that_is_no_model_has_none(folder):
    assert evaluation_text(folder) is None
    (folder / "eval.jsonl").write_text(conversation("a"))
    (folder / "config.json").unlink()
    assert evaluation_text(folder) is None


@pytest.mark.parametrize(
    "line", ["", "{", "[]", "{}", '{"messages": []}', '{"messages": ["a"]}', '{"messages": [{"content": 3}]}', "\x00"]
)
def test_a_damaged_one_is_named(folder, line):
    (folder / "eval.jsonl").write_text(line)

    with pytest.raises(ModelFileError, match=r"eval\.jsonl"):
        evaluation_text(folder)


def test_one_that_is_not_utf8_is_named(folder):
    (folder / "eval.jsonl").write_bytes(b'{"messages": [{"content": "\xff"}]}')

    with pytest.raises(ModelFileError, match=r"eval\.jsonl"):
        evaluation_text(folder)
