"""What a module's source says, read without importing the module or the packages around it."""

from __future__ import annotations

import ast
import sys


def read_source(module: str) -> str | None:
    """The source of `module`, or None where it cannot be found or is not Python text."""
    path = None
    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        spec = None
        for finder in sys.meta_path:
            try:
                spec = finder.find_spec(".".join(parts[:depth]), path)
            except Exception:  # guarded: finders belong to others (editable installs, import hooks of tools)
                continue
            if spec is not None:
                break
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or ())
    try:
        source = spec.loader.get_source(module)  # type: ignore[union-attr]  # a loader without it is guarded too
    except Exception:  # guarded: a loader of others, or a file that cannot be decoded
        return None
    return source if isinstance(source, str) else None


def first_line(module: str) -> str:
    """The first line of the module's docstring; empty where there is none."""
    source = read_source(module)
    try:
        text = ast.get_docstring(ast.parse(source)) if source else None
    except (SyntaxError, ValueError, RecursionError):
        return ""
    return (text or "").strip().partition("\n")[0].strip()


def may_define(module: str, name: str) -> bool:
    """Whether the module could hold something called `name`; True where that cannot be told without importing it."""
    source = read_source(module)
    if source is None:
        return True
    if name not in source and "import *" not in source:
        return False
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return True
    return any(_names(node, name) for node in ast.walk(tree))


def _names(node: ast.AST, name: str) -> bool:
    match node:
        case ast.FunctionDef(name=found) | ast.AsyncFunctionDef(name=found) | ast.ClassDef(name=found):
            return found == name
        case ast.Name(id=found) | ast.Constant(value=found):  # a constant: specname="name"
            return bool(found == name)
        case ast.alias(name=found, asname=other):
            return found == "*" or name in (found, other)
    return False
