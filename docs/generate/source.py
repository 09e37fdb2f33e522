"""Reads classes and functions with their documentation out of Python files, without importing them."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Member:
    """A field, or a name in a module that is given a value."""

    name: str
    type: str
    default: str | None
    doc: str


@dataclass(frozen=True)
class Function:
    name: str
    signature: str
    """All that stands between `def name` and the colon."""
    doc: str
    decorators: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True)
class Class:
    name: str
    bases: tuple[str, ...]
    doc: str
    fields: tuple[Member, ...] = ()
    functions: tuple[Function, ...] = ()


@dataclass(frozen=True)
class Module:
    doc: str
    classes: tuple[Class, ...] = field(default=())
    functions: tuple[Function, ...] = field(default=())
    values: tuple[Member, ...] = field(default=())


def read(path: Path) -> Module:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    return Module(
        doc=ast.get_docstring(tree) or "",
        classes=tuple(_class(node, text) for node in tree.body if isinstance(node, ast.ClassDef)),
        functions=tuple(_function(node, text) for node in tree.body if isinstance(node, ast.FunctionDef)),
        values=_members(tree.body),
    )


def _class(node: ast.ClassDef, text: str) -> Class:
    return Class(
        name=node.name,
        bases=tuple(ast.unparse(base) for base in node.bases),
        doc=ast.get_docstring(node) or "",
        fields=_members(node.body),
        functions=tuple(_function(part, text) for part in node.body if isinstance(part, ast.FunctionDef)),
    )


def _function(node: ast.FunctionDef, text: str) -> Function:
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return Function(
        name=node.name,
        signature=f"({ast.unparse(node.args)}){returns}",
        doc=ast.get_docstring(node) or "",
        decorators=tuple(ast.unparse(decorator) for decorator in node.decorator_list),
        source=ast.get_source_segment(text, node) or "",
    )


def _members(body: list[ast.stmt]) -> tuple[Member, ...]:
    """Names that are annotated or given a value, each with the text literal that follows it."""
    found = []
    for node, after in zip(body, [*body[1:], ast.Pass()], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name, kind = node.target.id, ast.unparse(node.annotation)
        elif isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            name, kind = node.targets[0].id, ""
        else:
            continue
        doc = ""
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str):
            doc = " ".join(after.value.value.split())
        found.append(Member(name, kind, ast.unparse(node.value) if node.value else None, doc))
    return tuple(found)
