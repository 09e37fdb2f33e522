"""Docstrings as this project writes them (`:param x:`, `Args:`, `Raises:`, code blocks, `>>>`) into Markdown."""

from __future__ import annotations

import re
import textwrap

_PARAM = re.compile(r":param (?P<name>\w+):\s*(?P<text>.*)", re.DOTALL)
_SECTION = re.compile(r"(?P<title>Args|Raises|Returns|Attributes):\n(?P<body>.*)", re.DOTALL)
_TITLES = {"Args": "Arguments", "Raises": "Raises", "Returns": "Returns", "Attributes": "Attributes"}


def markdown(text: str) -> str:
    """The Markdown of one docstring, as `ast.get_docstring` gives it."""
    parts = []
    paragraphs = re.split(r"\n\s*\n", text.strip())
    while paragraphs:
        paragraph = paragraphs.pop(0)
        if paragraph.startswith(".. code-block::"):
            code = []
            while paragraphs and paragraphs[0].startswith("    "):
                code.append(textwrap.dedent(paragraphs.pop(0)))
            parts.append("```python\n" + "\n\n".join(code) + "\n```")
        elif paragraph.lstrip().startswith(">>>"):
            parts.append(f"```pycon\n{textwrap.dedent(paragraph)}\n```")
        elif match := _PARAM.match(paragraph):
            params = re.split(r"\n(?=:param )", paragraph)
            parts.append("\n".join(_item(*_split_param(param)) for param in params))
        elif match := _SECTION.match(paragraph):
            items = _entries(textwrap.dedent(match["body"]))
            parts.append(f"{_TITLES[match['title']]}:\n\n" + "\n".join(_item(*item) for item in items))
        elif paragraph.startswith("    "):
            parts.append("```python\n" + textwrap.dedent(paragraph) + "\n```")
        else:
            parts.append(" ".join(paragraph.split()))
    return "\n\n".join(parts) + "\n"


def first_sentence(text: str) -> str:
    return " ".join(text.split("\n\n")[0].split())


def _split_param(text: str) -> tuple[str, str]:
    match = _PARAM.match(text)
    assert match
    return match["name"], " ".join(match["text"].split())


def _entries(body: str) -> list[tuple[str, str]]:
    """`name: text` at the margin, each with its further lines indented."""
    found = []
    for entry in re.split(r"\n(?=\S)", body):
        name, colon, text = " ".join(entry.split()).partition(": ")
        found.append((name, text) if colon else ("", name))
    return found


def _item(name: str, text: str) -> str:
    return f"- `{name}`: {text}" if name else f"- {text}"
