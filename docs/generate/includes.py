"""Code in pages, taken from the real files.

A line `[include NAME ...](../examples/x/hooks.py)` becomes a block with these functions, classes and values of the
file, each with its decorators; without a name, with the whole file. Where the page is read unbuilt, it is a link.
A comment `<!-- file: NAME -->` above an include or a block is its title.
"""

from __future__ import annotations

import ast
import re
import textwrap
from pathlib import Path

_FILE = r"(?:^ *<!-- file: (?P<file>.+?) -->\n)?"
_LINE = re.compile(_FILE + r"^(?P<indent> *)\[include(?P<names>(?: [\w.]+)*)\]\((?P<path>[^)#]+)\)$", re.MULTILINE)
_BLOCK = re.compile(r"^(?P<indent> *)<!-- file: (?P<file>.+?) -->\n *```(?P<language>\w+)$", re.MULTILINE)
_LANGUAGES = {".py": "python", ".toml": "toml", ".md": "markdown", ".json": "json"}


def expand(markdown: str, folder: Path) -> str:
    """Replace every include of a page that stands in `folder`."""

    def block(match: re.Match[str]) -> str:
        path = (folder / match["path"]).resolve()
        text = path.read_text(encoding="utf-8")
        shown = "\n\n\n".join(_named(text, name, path) for name in match["names"].split()) or text.rstrip()
        language = "text" if match["names"] == " __doc__" else _LANGUAGES.get(path.suffix, "text")
        fence = "````" if "```" in shown else "```"
        lines = [_opening(fence, language, match["file"] or path.name), *shown.splitlines(), fence]
        return "\n".join(match["indent"] + line if line else "" for line in lines)

    titled = _BLOCK.sub(lambda match: match["indent"] + _opening("```", match["language"], match["file"]), markdown)
    return _LINE.sub(block, titled)


def _opening(fence: str, language: str, title: str) -> str:
    return f'{fence} {{ .{language} title="{title}" }}'


def _named(text: str, name: str, path: Path) -> str:
    """The source of `name` or `Class.name`, with decorators, at the margin; of `__doc__` the module's docstring."""
    tree = ast.parse(text)
    if name == "__doc__":
        return ast.get_docstring(tree) or ""
    body = tree.body
    found: ast.stmt | None = None
    for part in name.split("."):
        found = next((node for node in body if _name(node) == part), None)
        if found is None:
            raise ValueError(f"{path} has no {name}: correct the [include] that names it")
        body = getattr(found, "body", [])
    assert found is not None
    first = min(part.lineno for part in (found, *getattr(found, "decorator_list", [])))
    lines = text.splitlines()[first - 1 : found.end_lineno]
    return textwrap.dedent("\n".join(lines))


def _name(node: ast.stmt) -> str | None:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return node.name
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return node.target.id
    return None
