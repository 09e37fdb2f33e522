"""The rules of the conformance kit, from the docstrings of its tests."""

from __future__ import annotations

from pathlib import Path

import docstrings
import source

_INTRODUCTION = """# Rules of the kit

What `BackendConformance` tests, from the docstrings of its tests. [The conformance kit](../plugins/conformance.md) says
how to use it and how to override a rule.
"""


def page(testing: Path) -> str:
    parts = [_INTRODUCTION]
    for path in sorted(testing.glob("*.py")):
        module = source.read(path)
        rules = [
            function for group in module.classes for function in group.functions if function.name.startswith("test_")
        ]
        if not rules:
            continue
        parts.append(f"## {path.stem.removesuffix('_group').capitalize()}\n\n{docstrings.markdown(module.doc)}")
        rows = [f"| `{rule.name}` | {docstrings.first_sentence(rule.doc)} |" for rule in rules]
        parts.append("\n".join(["| test | rule |", "|---|---|", *rows]))
    return "\n\n".join(parts)
