"""The conformance kit's attributes, fixtures and rules, from the docstrings of its code."""

from __future__ import annotations

import textwrap
from pathlib import Path

import docstrings
import source

from pajamas.testing.summary import ORDER

_INTRODUCTION = """# Rules of the kit

What a subclass of `BackendConformance` sets and uses, and what it tests, group by group, in the order of the summary.
[The conformance kit](../plugins/conformance.md) says how to use it and how a rule is excused.
"""


def page(testing: Path) -> str:
    parts = [_INTRODUCTION, _attributes(testing / "group.py")]
    parts.append("## Fixtures\n\nOf the kit's tests, for those that you add to the class:")
    parts.append(_fixtures(testing / "conformance.py"))
    parts.append("In every test, for a plugin's own:")
    parts.append(_fixtures(testing / "plugin.py"))
    for path in sorted(testing.glob("*.py"), key=_order):
        for group in source.read(path).classes:
            rules = [function for function in group.functions if function.name.startswith("test_")]
            if rules:
                parts.append(f"## {_name(path).capitalize()}\n\n{docstrings.markdown(group.doc)}")
                parts += [_rule(rule) for rule in rules]
    return "\n\n".join(parts)


def _attributes(path: Path) -> str:
    (group,) = (found for found in source.read(path).classes if found.name == "Group")
    rows = [
        f"| `{field.name}` <br><small>{field.type.removeprefix('ClassVar')[1:-1]} = {field.default}</small> "
        f"| {field.doc} |".replace(" | None", " &#124; None")
        for field in group.fields
    ]
    return "\n".join(
        [f"## Attributes\n\n{docstrings.markdown(group.doc)}", "| attribute | meaning |", "|---|---|", *rows]
    )


def _fixtures(path: Path) -> str:
    module = source.read(path)
    rows = [
        f"| `{function.name}` | {docstrings.first_sentence(function.doc)} |"
        for function in (*module.functions, *(part for found in module.classes for part in found.functions))
        if any(decorator.startswith("pytest.fixture") for decorator in function.decorators)
    ]
    return "\n".join(["| fixture | what |", "|---|---|", *rows])


def _name(path: Path) -> str:
    return path.stem.removesuffix("_group")


def _order(path: Path) -> tuple[int, str]:
    name = _name(path)
    return (ORDER.index(name) if name in ORDER else len(ORDER), name)


def _rule(rule: source.Function) -> str:
    text = textwrap.indent(docstrings.markdown(rule.doc), "    ").strip()
    return f"`{rule.name}`\n:   {text}"
