"""Messages of which a template would read nothing, or not all, are refused by name."""

from __future__ import annotations

import pytest

from chat_templates import template_text
from pajamas.chat.template import render
from pajamas.errors import UsageError

NAMES = "{% for m in messages if m.role == 'user' or m['role'] == 'judge' %}{{ m.content }}{{ m.mood }}{% endfor %}"
ANY = "{% for m in messages %}{{ m.role }}:{{ m.content }}{% endfor %}"
USER = {"role": "user", "content": "Hello"}


def test_a_role_that_nobody_knows_is_refused():
    for template in (NAMES, ANY, template_text("tiny")):
        with pytest.raises(UsageError, match="message 2 has the role 'wizard'"):
            render(template, [USER, {"role": "wizard", "content": "x"}])


def test_a_role_that_the_template_names_is_taken():
    assert render(NAMES, [{"role": "judge", "content": "x"}]) == "x"


def test_a_role_that_the_template_prints_is_taken():
    assert render(ANY, [{"role": "developer", "content": "x"}]) == "developer:x"


@pytest.mark.parametrize("role", ["developer", "tool"])
def test_a_role_of_which_nothing_is_printed_is_refused(role):
    with pytest.raises(UsageError, match=f"leaves out message 1\nit prints nothing of the role '{role}'"):
        render(NAMES, [{"role": role, "content": "x"}])


def test_a_key_that_nobody_knows_is_refused():
    with pytest.raises(UsageError, match="message 1 has a key 'flavour' that nothing reads"):
        render(template_text("tiny"), [{**USER, "flavour": "salt"}])


def test_a_key_that_the_template_reads_is_taken():
    assert render(NAMES, [{**USER, "mood": "!"}]) == "Hello!"


def test_keys_of_openai_s_form_are_taken():
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    answer = {"role": "assistant", "content": "", "tool_calls": [call], "reasoning_content": "hm", "refusal": None}
    result = {"role": "tool", "tool_call_id": "1", "name": "f", "content": "4", "annotations": []}

    assert "4" in render(template_text("tiny"), [{**USER, "name": "Ann"}, answer, result])
