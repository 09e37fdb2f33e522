"""Suites as files: what is read, and what is refused by its name."""

from __future__ import annotations

import json

import pytest

from pajamas.errors import ModelNotFound, UsageError
from pajamas_validate.suite import OWN_SUITE, built_in, parse_suite, suite_of

CASE = '[[cases]]\nid = "a"\nprompt = "Hello"\n'


def parse(text):
    return parse_suite(text, "mine.toml")


def test_a_case_has_what_the_file_says():
    suite = parse(
        'name = "mine"\n'
        + CASE
        + 'mode = "thinking"\nsystem = "Be brief."\nmax_tokens = 9\nexpect = "b+"\nlanguage = "de"\nends = false\n'
        + 'json_schema = \'{"type": "object"}\'\ntools = \'[{"type": "function"}]\'\ncall = "f"\narguments = "x"\n'
    )

    assert suite.name == "mine"
    assert suite.languages == ("de",)
    (case,) = suite.cases
    assert (case.id, case.prompt, case.mode, case.system, case.max_tokens) == (
        "a", "Hello", "thinking", "Be brief.", 9,
    )  # fmt: skip
    assert (case.expect, case.ends, case.call, case.arguments) == ("b+", False, "f", "x")
    assert (case.json_schema, case.tools) == ({"type": "object"}, ({"type": "function"},))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("name = ", "not TOML"),
        ('name = "x"', "no suite"),
        ('name = "x"\ncases = []', "no suite"),
        (CASE, "no suite"),
        ('name = "x"\nauthor = "me"\n' + CASE, "author"),
        ('name = "x"\ncases = [1]', "case 1"),
        ('name = "x"\n[[cases]]\nid = "a"', "no prompt"),
        ('name = "x"\n' + CASE + "maxtokens = 3", "maxtokens"),
        ('name = "x"\n' + CASE + "max_tokens = 0", "max_tokens"),
        ('name = "x"\n' + CASE + "max_tokens = true", "max_tokens"),
        ('name = "x"\n' + CASE + "prompt2 = 3", "prompt2"),
        ('name = "x"\n' + CASE + 'mode = "deep"', "deep"),
        ('name = "x"\n' + CASE + 'expect = "("', "expect"),
        ('name = "x"\n' + CASE + 'json_schema = "{"', "json_schema"),
        ('name = "x"\n' + CASE + 'json_schema = "[]"', "json_schema"),
        ('name = "x"\n' + CASE + 'call = "f"', "no tools"),
        ('name = "x"\n' + CASE + CASE, "two cases 'a'"),
    ],
)
def test_what_is_no_suite_is_refused_by_name(text, named):
    with pytest.raises(UsageError, match=named) as caught:
        parse(text)

    assert "mine.toml" in caught.value.what


def test_a_models_own_suite_takes_the_place_of_the_general_one(tmp_path):
    assert suite_of(tmp_path).name == suite_of(None).name == "everyday"
    (tmp_path / OWN_SUITE).write_text('name = "own"\n' + CASE)

    assert suite_of(tmp_path).name == "own"


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / OWN_SUITE).write_bytes(b"\xff\xfe\x00")

    with pytest.raises(UsageError, match="cannot be read"):
        suite_of(tmp_path)


def test_the_general_suite_holds_the_prompts_of_a_normal_day():
    suite = built_in("everyday")

    prompts = " ".join(case.prompt for case in suite.cases)
    assert "Solve: If x + 2 = 5, what is x?" in prompts
    assert "reverses a string" in prompts
    assert len(suite.languages) >= 5
    assert {case.mode for case in suite.cases} == {"thinking", "non-thinking"}
    assert any(case.json_schema for case in suite.cases)
    (call,) = [case for case in suite.cases if case.call]
    assert json.loads(json.dumps(call.tools))[0]["function"]["name"] == call.call


def test_a_suite_that_is_not_there_is_an_error():
    with pytest.raises(ModelNotFound, match="nothing"):
        built_in("nothing")
