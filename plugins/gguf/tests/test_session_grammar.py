"""Grammars and JSON schemas: what they force, and hostile ones."""

from __future__ import annotations

import json
import sys

import pytest

import pajamas
from pajamas.errors import UnsupportedFeature, UsageError
from pajamas.types import GenerateRequest, Sampling
from pajamas_gguf.session.json_schema import to_grammar

PROMPT = "<|im_start|>user\nTell me something.<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"


def answer(session, sampling, **fields):
    chunks = list(session.generate(GenerateRequest(prompt=PROMPT, sampling=sampling, **{"max_tokens": 200, **fields})))
    return "".join(chunk.text for chunk in chunks), chunks[-1].finish_reason


@pytest.mark.parametrize(
    "options",
    [{"temperature": 0}, {"temperature": 2.0, "top_k": 50, "seed": 1}, {"temperature": 2.0, "seed": 2}],
    ids=str,
)
def test_a_grammar_is_kept_to(session, options):
    sampling = Sampling(**options)

    assert answer(session, sampling, grammar='root ::= "blue" | "green"') in [("blue", "stop"), ("green", "stop")]
    number, reason = answer(session, sampling, grammar='root ::= [0-9]{3} "-" [0-9]{3}')
    assert number.replace("-", "").isdigit() and len(number) == 7 and reason == "stop"
    text, reason = answer(session, sampling, grammar='root ::= "世界" "🦙"')
    assert (text, reason) == ("世界🦙", "stop")


def test_a_grammar_that_is_complete_ends_an_answer_that_ignores_the_end(session):
    assert answer(session, Sampling(temperature=0), grammar='root ::= "yes"', ignore_eos=True) == ("yes", "stop")


def test_a_schema_is_kept_to(session):
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 12},
            "age": {"type": "integer"},
            "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 1, "maxItems": 3},
        },
        "required": ["name", "age", "tags"],
    }
    for seed in range(4):
        text, reason = answer(session, Sampling(temperature=1.5, seed=seed), json_schema=schema, max_tokens=400)
        if reason == "length":  # a long number
            continue
        found = json.loads(text)
        assert set(found) == {"name", "age", "tags"}
        assert len(found["name"]) <= 12 and isinstance(found["age"], int)
        assert 1 <= len(found["tags"]) <= 3 and set(found["tags"]) <= {"a", "b"}


def test_a_schema_leaves_room_for_the_line_break_that_models_end_with(tiny_q4):
    """The bundled model's last token of a call is one with a line break in it."""
    place = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    call = {"type": "object", "properties": {"name": {"const": "get_weather"}, "arguments": place}}
    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": place}}]
    question = [{"role": "user", "content": "What is the weather in Paris?"}]
    with pajamas.Runtime(tiny_q4) as model:
        found = model.generate(
            messages=question, tools=tools, json_schema={**call, "required": ["name", "arguments"]}, temperature=0,
            max_tokens=80,
        )  # fmt: skip

    assert found.text == '{"name": "get_weather", "arguments": {"city": "Paris"}}\n'


def test_strings_in_json_hold_no_control_characters():
    assert "\\x00-\\x1F" in to_grammar({"type": "string", "maxLength": 3})


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "minimum": 3},
        {"type": "string", "pattern": "^a$", "minLength": 2},
        {"type": "object", "patternProperties": {"a": {}}},
        {"type": "array", "items": {"type": "number"}, "uniqueItems": True},
        {"type": "object", "properties": {"a": {"type": "number", "multipleOf": 2}}},
        {"not": {"type": "string"}},
        {"type": "object", "properties": {}, "required": ["a"]},
        {"anyOf": [{"type": "string"}], "minLength": 3},
        {
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/x"}},
            "$defs": {"x": {"type": "number", "maximum": 2}},
        },
    ],
    ids=json.dumps,
)
def test_what_cannot_be_enforced_is_refused(schema):
    with pytest.raises(UnsupportedFeature):
        to_grammar(schema)


def nested(depth):
    schema = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"$ref": "#/nowhere"},
        {"$ref": "https://example.com/schema.json"},
        {"type": "string", "pattern": "^(not closed$"},
        {"properties": []},
        {"items": 3},
        {"enum": 7},
        {"type": "array", "items": {"type": "string"}, "minItems": "x"},
    ],
    ids=lambda schema: str(schema)[:40],
)
def test_a_schema_that_is_none_is_a_usage_error(schema):
    with pytest.raises(UsageError):
        to_grammar(schema)


@pytest.mark.parametrize("depth", [300, 5000])
def test_a_schema_nested_beyond_reason_is_a_usage_error(depth):
    with pytest.raises(UsageError, match="deeply"):
        to_grammar(nested(depth))


def test_how_deep_a_schema_may_be_does_not_depend_on_the_interpreters_limit():
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        with pytest.raises(UsageError, match="deeply"):
            to_grammar(nested(5000))
    finally:
        sys.setrecursionlimit(before)


@pytest.mark.parametrize(
    "grammar",
    [
        "",
        "root = x",
        "start ::= [a]",
        'root ::= missing "a"',
        "root ::= root [a]",
        "root ::= [a",
        "root ::= ([a]*)*" * 3,
        "root ::= " + "(" * 200_000 + "[a]" + ")" * 200_000,
        "\n".join(["root ::= r0", *(f"r{n} ::= r{n + 1}" for n in range(60_000)), "r60000 ::= [a]"]),
        "root ::= [a]{99999999}",
        'root ::= "a\x00b"',
    ],
    ids=lambda text: text[:20] or "empty",
)
def test_a_bad_grammar_is_an_error_and_not_the_end_of_the_process(session, grammar):
    with pytest.raises(UsageError, match="grammar"):
        session.generate(GenerateRequest(prompt=PROMPT, grammar=grammar))


def test_a_grammar_may_name_tokens(session):
    token = session.tokenize("<think>")[0]
    text, _ = answer(session, Sampling(temperature=0), grammar=f"root ::= <[{token}]> [a-z]{{2}}")

    assert text.startswith("<think>") and len(text) == len("<think>") + 2
