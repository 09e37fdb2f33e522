"""Every hook is implemented by a plugin or a fake one, so that a test goes through it."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

from pajamas import hookspecs

ROOT = Path(__file__).parents[1]
SOURCES = ("core/src", "plugins", "docs/examples", "core/tests", "tests")
HOOKS = sorted(name for name, value in vars(hookspecs).items() if hasattr(value, f"{hookspecs.PROJECT}_spec"))


def implementations(text):
    """Names of the functions that `@hookimpl` stands over, in a module and in the modules that its strings hold."""
    try:
        tree = ast.parse(inspect.cleandoc(text))
    except SyntaxError:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            marks = [mark.func if isinstance(mark, ast.Call) else mark for mark in node.decorator_list]
            if any(isinstance(mark, ast.Name) and mark.id == "hookimpl" for mark in marks):
                yield node.name
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "@hookimpl" in node.value:
            yield from implementations(node.value)


@pytest.fixture(scope="module")
def implemented():
    found = {}
    for folder in SOURCES:
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            if "hookimpl" in text and path != ROOT / "core/src/pajamas/hookspecs.py":
                for name in implementations(text):
                    found.setdefault(name, []).append(path)
    return found


def test_the_hooks_are_found():
    assert {"describe", "load", "validation_metrics"} <= set(HOOKS)


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_is_exercised(hook, implemented):
    assert hook in implemented, f"no plugin and no test implements {hook}: add a test that goes through it"


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_says_when_it_is_called_and_what_none_means(hook):
    text = inspect.getdoc(getattr(hookspecs, hook))

    assert "Called" in text and ("None" in text or "unavailable" in text)
    for argument in inspect.signature(getattr(hookspecs, hook)).parameters:
        assert f":param {argument}:" in text


def test_the_hooks_of_a_text_are_found_and_others_are_not():
    text = '''
SOURCE = """
    from pajamas.hookspecs import hookimpl

    @hookimpl(wrapper=True)
    def inner():
        yield
"""

@hookimpl
def outer(): ...

def neither(): ...
'''
    assert sorted(implementations(text)) == ["inner", "outer"]
