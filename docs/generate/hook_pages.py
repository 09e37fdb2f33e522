"""The hook reference, from hookspecs.py."""

from __future__ import annotations

import re
from pathlib import Path

import docstrings
import source

_BANNER = re.compile(r"^# --- (?P<title>.+?) -+$", re.MULTILINE)


def page(core: Path) -> str:
    path = core / "hookspecs.py"
    text, module = path.read_text(encoding="utf-8"), source.read(path)
    parts = ["# Hooks", docstrings.markdown(module.doc), _summary(module.functions)]
    banners = [(match.start(), match["title"]) for match in _BANNER.finditer(text)]
    for function in module.functions:
        if not _is_hook(function):
            continue
        at = text.index(f"\ndef {function.name}(")
        while banners and banners[0][0] < at:
            title = banners.pop(0)[1]
            parts.append(f"## {title[0].upper()}{title[1:]}")
        parts.append(_entry(function))
    return "\n\n".join(parts)


def _is_hook(function: source.Function) -> bool:
    return any(decorator.startswith("hookspec") for decorator in function.decorators)


def _first_result(function: source.Function) -> bool:
    return any("firstresult=True" in decorator for decorator in function.decorators)


def _kind(function: source.Function) -> str:
    return "first result" if _first_result(function) else "collected"


def _summary(functions: tuple[source.Function, ...]) -> str:
    rows = [
        f"| [`{function.name}`](#{function.name}) <br><small>{_kind(function)}</small> "
        f"| {docstrings.first_sentence(function.doc)} |"
        for function in functions
        if _is_hook(function)
    ]
    return "\n".join(["| hook | what it does |", "|---|---|", *rows])


def _entry(function: source.Function) -> str:
    answers = (
        "**First result:** the first answer that is not None counts, and the rest are not asked."
        if _first_result(function)
        else "**Collected:** every plugin is asked, and all answers count."
    )
    signature = f"```python\ndef {function.name}{function.signature}\n```"
    return "\n\n".join(
        [f"### `{function.name}` {{ #{function.name} }}", signature, docstrings.markdown(function.doc), answers]
    )
