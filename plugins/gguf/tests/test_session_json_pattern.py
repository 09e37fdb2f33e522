"""JSON schemas from real life: patterns, texts that need escapes, recursion, and what admits nothing."""

from __future__ import annotations

import json
import re

import pytest

from pajamas.errors import PajamasError, UnsupportedFeature, UsageError
from pajamas.types import GenerateRequest, Sampling


def answers(session, schema, count=3):
    """Complete answers, as text, at a temperature that tries what the grammar allows."""
    for seed in range(count):
        request = GenerateRequest(
            prompt="JSON: ", json_schema=schema, max_tokens=200, sampling=Sampling(temperature=1.5, seed=seed)
        )
        chunks = list(session.generate(request))
        if chunks[-1].finish_reason == "stop":
            yield "".join(chunk.text for chunk in chunks)


@pytest.mark.parametrize(
    "pattern",
    [
        r"^[A-Z]{2}-\d{3}$",
        r"^\w{1,4}$",
        r"^a\sb$",
        r'^"\\[a-c]$',
        r"^[^a]{1,3}$",
        r"^[^\w\"]{1,3}$",
        r"^a.{0,3}b$",
        r"^(foo|bar)+$",
        r"^(\([0-9]{3}\))?[0-9]{3}-[0-9]{4}$",
        r"^\d+\.\d+(-[\w.]+)?$",
        r"^[\n\t\x00]{2}$",
        r"^(?:üé|[а-я])\D$",
        r"^$",
        r"^a|b$",
        r"^x[\u0000-\uffff]y?z*$",
    ],
)
def test_an_answer_is_json_that_matches_the_pattern(session, pattern):
    found = list(answers(session, {"type": "string", "pattern": pattern}))

    if not pattern.endswith("|b$"):  # held at one end only: it may go on for ever
        assert found
    for text in found:
        assert re.search(pattern, json.loads(text)), text


def test_a_pattern_without_anchors_may_match_anywhere(session):
    schema = {"type": "array", "items": {"type": "string", "pattern": "b{2}"}, "minItems": 1, "maxItems": 1}
    for text in answers(session, schema):
        assert "bb" in json.loads(text)[0]


@pytest.mark.parametrize("pattern", ["^(?=a)b$", r"^(a)\1$", r"^a\bb$", "^a$b", "^(?i:a)$"])
def test_a_pattern_that_grammars_do_not_express_is_refused(session, pattern):
    with pytest.raises(UnsupportedFeature, match="pattern"):
        session.generate(GenerateRequest(prompt="x", json_schema={"type": "string", "pattern": pattern}))


@pytest.mark.parametrize("pattern", ["^[a$", "^(a$", "^a{3,1}$", "^*$"])
def test_a_pattern_that_is_none_is_an_error(session, pattern):
    with pytest.raises(UsageError, match="schema"):
        session.generate(GenerateRequest(prompt="x", json_schema={"type": "string", "pattern": pattern}))


@pytest.mark.parametrize("value", ['q"\\ü\n', {"k": [1, "\t\u2028"]}, None, True, 1.5, "ends with \\"])
def test_constants_are_written_as_json(session, value):
    for schema in ({"const": value}, {"enum": [value]}):
        assert [json.loads(text) for text in answers(session, schema, 1)] == [value]


def test_names_of_properties_are_written_as_json(session):
    names = ['a"b', "ü\\", "x-y z", "root", "string"]
    schema = {
        "type": "object", "properties": {name: {"type": "boolean"} for name in names}, "required": names,
        "additionalProperties": False,
    }  # fmt: skip

    for text in answers(session, schema):
        assert sorted(json.loads(text)) == sorted(names)


def test_a_schema_may_be_a_reference_to_itself(session):
    node = {
        "type": "object",
        "properties": {
            "leaf": {"type": "boolean"},
            "kids": {"type": "array", "items": {"$ref": "#/$defs/Node"}, "maxItems": 1},
        },
        "required": ["leaf", "kids"],
        "additionalProperties": False,
    }
    found = [json.loads(text) for text in answers(session, {"$defs": {"Node": node}, "$ref": "#/$defs/Node"}, 5)]

    assert found
    assert all(set(tree) == {"leaf", "kids"} for tree in found)


@pytest.mark.parametrize(
    "schema",
    [
        {"enum": []},
        {"anyOf": []},
        {"type": "string", "enum": ["a", 1]},
        {"type": "integer", "const": True},
        {"type": "string", "minLength": 5, "maxLength": 3},
        {"type": "array", "items": {"type": "null"}, "minItems": 4, "maxItems": 2},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
        {"type": "object", "properties": {"": {"type": "null"}}},
        {"enum": 5},
        {"type": "string", "pattern": 5},
        {"type": "string", "minLength": "a", "maxLength": 3},
    ],
    ids=str,
)
def test_what_admits_nothing_or_is_no_schema_is_refused(session, schema):
    with pytest.raises(PajamasError):
        session.generate(GenerateRequest(prompt="x", json_schema=schema))
