"""The rules of the conformance kit, from the docstrings of its tests."""

from __future__ import annotations

import textwrap
from pathlib import Path

import docstrings
import source

from pajamas.testing.summary import ORDER

_INTRODUCTION = """# Rules of the kit

What `BackendConformance` tests, group by group, in the order of its summary. [The conformance
kit](../plugins/conformance.md) says how to use it and how a rule is excused.
"""


def page(testing: Path) -> str:
    parts = [_INTRODUCTION]
    for path in sorted(testing.glob("*.py"), key=_order):
        for group in source.read(path).classes:
            rules = [function for function in group.functions if function.name.startswith("test_")]
            if rules:
                parts.append(f"## {_name(path).capitalize()}\n\n{docstrings.markdown(group.doc)}")
                parts += [_rule(rule) for rule in rules]
    return "\n\n".join(parts)


def _name(path: Path) -> str:
    return path.stem.removesuffix("_group")


def _order(path: Path) -> tuple[int, str]:
    name = _name(path)
    return (ORDER.index(name) if name in ORDER else len(ORDER), name)


def _rule(rule: source.Function) -> str:
    text = textwrap.indent(docstrings.markdown(rule.doc), "    ").strip()
    return f"`{rule.name}`\n:   {text}"
