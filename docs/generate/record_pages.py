"""The reference of the records that hooks take and return, with the documentation of each field."""

from __future__ import annotations

import html
import re
from pathlib import Path

import docstrings
import source

SECTIONS = {
    "What a backend is": ("types:BackendInfo", "features:Feature", "environments/declaration:Environment"),
    "What a model is": (
        "artifacts:Architecture",
        "modelfiles:ModelFiles",
        "source:Source",
        "artifacts:Artifact",
        "artifacts:TensorInfo",
    ),
    "What a backend is asked": (
        "types:QuantizeJob",
        "types:LoadOptions",
        "requests:GenerateRequest",
        "requests:Sampling",
        "progress:Progress",
        "progress:Stage",
    ),
    "What it answers": (
        "answers:Chunk",
        "answers:Usage",
        "answers:TokenLogprob",
        "answers:ToolCall",
    ),
    "A loaded model": ("session:Session", "session:MemoryUse"),
    "Measuring": ("validation:ValidateJob", "validation:Finding", "validation:ReportJob"),
    "Helpers for backends": ("session:BaseSession", "streaming:StreamText"),
}
"""Heading to the classes under it, as `module:Class`."""


def page(core: Path) -> str:
    known = {name.partition(":")[2] for names in SECTIONS.values() for name in names}
    parts = [
        "# Records",
        "What hooks take and return: frozen, keyword-only, and importable from `pajamas.types` unless another module "
        "is named. Sizes are bytes, times are seconds, contexts are tokens. A field without a default is required.",
    ]
    for title, names in SECTIONS.items():
        parts.append(f"## {title}")
        for name in names:
            module, _, wanted = name.partition(":")
            found = next(part for part in source.read(core / f"{module}.py").classes if part.name == wanted)
            parts.append(_class(found, module, known))
    return "\n\n".join(parts)


def _class(found: source.Class, module: str, known: set[str]) -> str:
    parts = [f"### `{found.name}` {{ #{found.name.lower()} }}", docstrings.markdown(found.doc)]
    if module in ("modelfiles", "source", "progress", "streaming") or found.name == "BaseSession":
        parts.append(f"Import it from `pajamas.{module}`.")
    if any(base.endswith("Enum") for base in found.bases):
        rows = [f"| `{field.name}` | `{field.default}` | {field.doc} |" for field in found.fields]
        parts.append("\n".join(["| member | value | meaning |", "|---|---|---|", *rows]))
    elif any(field.doc for field in found.fields):
        rows = [
            f"| `{field.name}` <br>{_type(field.type, known)}{_default(field.default)} | {field.doc} |"
            for field in found.fields
            if field.doc and not field.name.startswith("_")
        ]
        parts.append("\n".join(["| field | meaning |", "|---|---|", *rows]))
    for function in found.functions:
        if not function.name.startswith("_"):
            parts.append(_function(found.name, function))
    return "\n\n".join(parts)


def _function(owner: str, function: source.Function) -> str:
    if "property" in function.decorators:
        shown = f"{function.name}: {function.signature.partition(' -> ')[2]}"
    else:
        shown = f"{function.name}{function.signature.replace('(self, ', '(').replace('(self)', '()')}"
    heading = f"#### `{owner}.{function.name}` {{ #{owner.lower()}.{function.name} }}"
    return "\n\n".join([heading, f"```python\n{shown}\n```", docstrings.markdown(function.doc)])


def _type(text: str, known: set[str]) -> str:
    shown = html.escape(text).replace("|", "&#124;")
    linked = re.sub(
        r"[A-Z]\w+", lambda name: f'<a href="#{name[0].lower()}">{name[0]}</a>' if name[0] in known else name[0], shown
    )
    return f"<small>{linked}</small>"


def _default(text: str | None) -> str:
    if text is None:
        return ""
    shown = "{}" if text == "field(factory=dict)" else text
    return f"<small> = {html.escape(shown).replace('|', '&#124;')}</small>"
