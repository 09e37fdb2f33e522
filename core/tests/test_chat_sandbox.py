"""Templates are foreign code: they end, they stay small, they see nothing, and what fails is said."""

from __future__ import annotations

import pytest

from pajamas.chat import budget
from pajamas.chat.template import MAX_TEMPLATE, render
from pajamas.errors import TemplateError

MESSAGES = [{"role": "user", "content": "Hello"}]
GROW = "{%% set ns = namespace(x=%s) %%}{%% for i in range(60) %%}%s{%% endfor %%}%s"


def stopped(template):
    with pytest.raises(TemplateError) as raised:
        render(template, MESSAGES)
    assert raised.value.why
    assert raised.value.fix
    return raised.value


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ '{0.__class__.__mro__}'.format('') }}",
        "{{ namespace.__init__.__globals__ }}",
        "{{ cycler.__init__.__globals__.os }}",
        "{{ dict.__class__.__bases__ }}",
        "{{ self._TemplateReference__context.environment }}",
        "{{ messages.append(1) }}",
        "{{ messages[0].update(role='x') }}",
        "{% set ns = namespace(__class__=1) %}",
        "{% set ns = namespace() %}{% set ns._a = 1 %}",
        "{{ 'a'.encode() }}",
    ],
)
def test_nothing_inside_python_can_be_reached(template):
    assert "does what is not allowed" in stopped(template).what


@pytest.mark.parametrize(
    "template", ["{{ ''['__class__'] }}", "{{ messages | attr('__class__') }}", "{{ raise_exception.__globals__ }}"]
)
def test_what_is_private_is_undefined(template):
    assert render(template, MESSAGES) == ""


@pytest.mark.parametrize(
    "template",
    [
        "{{ 'a' * 10**10 }}",
        "{{ [1] * 10**10 }}",
        "{% set x %}{% for i in range(99999) %}{% for j in range(99999) %}"
        + "a" * 9999
        + "{% endfor %}{% endfor %}{% endset %}",
        GROW % ("'ab'", "{% set ns.x = ns.x + ns.x %}", ""),
        GROW % ("'ab'", "{% set ns.x = ns.x ~ ns.x %}", ""),
        GROW % ("'ab'", "{% set y %}{{ ns.x }}{{ ns.x }}{% endset %}{% set ns.x = y %}", ""),
        GROW % ("'ab'", "{% set ns.x = [ns.x, ns.x] | join %}", ""),
        GROW % ("'ab'", "{% set ns.x = '%s%s' % (ns.x, ns.x) %}", ""),
        GROW % ("'ab'", "{% set ns.x = '{0}{0}'.format(ns.x) %}", ""),
        GROW % ("[1]", "{% set ns.x = [ns.x, ns.x] %}", "{{ ns.x }}"),
        GROW % ("[1]", "{% set ns.x = (ns.x, ns.x) %}", "{{ ns.x in {} }}"),
        GROW % ("[1]", "{% set ns.x = {'a': ns.x, 'b': ns.x} %}", "{{ ns.x | tojson }}"),
        GROW % ("[1]", "{% set ns.x = dict(a=ns.x, b=ns.x) %}", "{{ ns.x | tojson }}"),
        "{{ 'a' | center(10**10) }}",
        "{{ 'a'.ljust(10**10) }}",
        "{{ 'a'.zfill(width=10**10) }}",
        "{{ ('\\t' * 10**6).expandtabs(10**6) }}",
        "{{ ('a\\n' * 10**6) | indent(10**6) }}",
        "{{ ('a\\n' * 10**6) | indent('x' * 10**6) }}",
        "{{ ('a' * 10**6).replace('a', 'b' * 10**6) }}",
        "{{ ('a' * 10**6) | replace('a', 'b' * 10**6) }}",
        "{{ ('b' * 10**6).join(['a'] * 10**5) }}",
        "{{ [1] | batch(10**10, 0) | list }}",
        "{{ [1] | slice(10**10) | list }}",
    ],
)
def test_text_and_lists_do_not_grow_without_end(template):
    assert "makes more text than a prompt can hold" in stopped(template).why


@pytest.mark.parametrize(
    "template",
    [
        "{% set ns = namespace(x=9) %}{% for i in range(99) %}{% set ns.x = ns.x * ns.x %}{% endfor %}",
        "{{ 9 ** 99999999 }}",
        "{{ '{:10000000000}'.format('a') }}",
        "{{ '{:{}}'.format('a', 10**10) }}",
        "{{ '%10000000000d' % 1 }}",
        "{{ '%*d' % (10**10, 1) }}",
        "{{ '%10000000000d' | format(1) }}",
        "{{ [1] | tojson(indent=10**10) }}",
        "{{ [1, 2] | tojson(separators=('a' * 10**6, ':')) }}",
        "{{ 1.5 | round(10**9, 'ceil') }}",
        "{{ [[1]] | sum(start=[]) }}",
    ],
)
def test_widths_and_numbers_have_bounds(template):
    assert "does what is not allowed" in stopped(template).what


@pytest.mark.parametrize(
    "template",
    [
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{% macro f(n) %}{% if n %}{{ f(n - 1) ~ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    ],
)
def test_loops_end(template, monkeypatch):
    monkeypatch.setattr(budget, "MAX_STEPS", 10_000)

    assert "takes more than 10,000 steps" in stopped(template).why


def test_slow_filters_end(monkeypatch):
    monkeypatch.setattr(budget, "MAX_SECONDS", 0.2)
    template = "{% for i in range(99999) %}{{ range(99999) | map('string') | select('eq', '') | first }}{% endfor %}"

    assert "seconds" in stopped(template).why


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{% for %}", "line 1: Expected an expression"),
        ("\n\n{{ a", "line 3: "),
        ("{{ 'a' | striptags }}", "No filter named 'striptags'"),
        ("{{ " + "(" * 5000, "RecursionError"),
        ("{% if a %}" * 3000 + "{% endif %}" * 3000, "RecursionError"),
        ("{% for a in [1] %}" * 30 + "{% endfor %}" * 30, "SyntaxError"),
        ("a" * (MAX_TEMPLATE + 1), "characters"),
    ],
)
def test_broken_templates_say_where(template, why):
    error = stopped(template)

    assert "chat template is" in error.what
    assert why in error.why


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ a.b.c }}", "'a' is undefined"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
        ("{{ messages + 1 }}", "TypeError"),
        ("{% include 'a' %}", "no loader"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "RecursionError"),
    ],
)
def test_failing_templates_say_why(template, why):
    assert why in stopped(template).why


def test_a_refusal_carries_the_templates_own_words():
    error = stopped("{{ raise_exception('Only two turns!') }}")

    assert error.what == "the model's chat template refuses these messages"
    assert error.why == "Only two turns!"


def test_what_templates_use_works():
    template = (
        "{% set ns = namespace(n=0) %}{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}{% endfor %}"
        "{% generation %}{{ [1, 'a<b', none] | tojson }}{% endgeneration %}"
        "{{ '%s|%d' % ('a', 1) }}{{ '{} {x}'.format(1, x=2) }}{{ 2 ** 3 }}{{ ['a', 'b'] | map('upper') | join(', ') }}"
        "{{ {'a': [1]} | tojson(indent=2) }}{{ ns }}{{ dict(a=1).items() | list }}{{ 'x'.join(['a', 'b']) }}"
        "{{ [3, 1] | sort | first }}{{ 'a,b'.split(',')[1:] }}{{ strftime_now('%%') }}"
        "{% for x in range(3) if x %}{{ x }}{% endfor %}"
    )
    expected = "[1, \"a<b\", null]a|11 28A, B{\n  \"a\": [\n    1\n  ]\n}<Namespace>[('a', 1)]axb1['b']%12"

    assert render(template, MESSAGES) == expected


def test_long_conversations_are_within_the_bounds():
    template = (
        "{% set ns = namespace(text='') %}{% for m in messages %}{% for n in messages[loop.index:] %}{% endfor %}"
        "{% set ns.text = ns.text + m.content %}{% endfor %}{{ ns.text }}"
    )
    messages = [{"role": "user", "content": "word " * 100}] * 1000

    assert render(template, messages) == "word " * 100_000
