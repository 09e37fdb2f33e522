"""What a module's source says, read without importing the module or the packages around it."""

from __future__ import annotations

import ast
import sys
from importlib.machinery import ModuleSpec


def find_module(module: str) -> ModuleSpec | None:
    """Where `module` is. Unlike `importlib.util.find_spec`, this imports no package that it lies in."""
    path, found = None, None
    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        found = _find(".".join(parts[:depth]), path)
        if found is None:
            return None
        path = list(found.submodule_search_locations or ())
    return found


def first_line(module: str) -> str:
    """The first line of the module's docstring; empty where there is none."""
    source = _read(module)
    try:
        text = ast.get_docstring(ast.parse(source)) if source else None
    except (SyntaxError, ValueError, RecursionError):
        return ""
    return (text or "").strip().partition("\n")[0].strip()


def may_define(module: str, name: str) -> bool:
    """Whether the module could hold something called `name`; True where that cannot be told without importing it."""
    source = _read(module)
    if source is None:
        return True
    if name not in source and "import *" not in source:
        return False
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return True
    return any(_names(node, name) for node in ast.walk(tree))


def _find(module: str, path: list[str] | None) -> ModuleSpec | None:
    for finder in sys.meta_path:
        try:
            found = finder.find_spec(module, path)
        except Exception:  # guarded: finders belong to others (editable installs, import hooks of tools)
            continue
        if found is not None:
            return found
    return None


def _read(module: str) -> str | None:
    spec = find_module(module)
    try:
        source = spec.loader.get_source(module)  # type: ignore[union-attr]  # whatever lacks it is guarded too
    except Exception:  # guarded: a loader of others, or a file that cannot be decoded
        return None
    return source if isinstance(source, str) else None


def _names(node: ast.AST, name: str) -> bool:
    match node:
        case ast.FunctionDef(name=found) | ast.AsyncFunctionDef(name=found) | ast.ClassDef(name=found):
            return found == name
        case ast.Name(id=found) | ast.Constant(value=found):  # a constant: specname="name"
            return bool(found == name)
        case ast.alias(name=found, asname=other):
            return found == "*" or name in (found, other)
    return False
