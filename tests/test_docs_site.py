"""The documentation site: built with warnings as errors, sound in its links, complete in what the code says."""

from __future__ import annotations

import ast
import re

import click
import docsite
import pytest
from docsite import ROOT

from pajamas import hookspecs
from pajamas.cli import main

HOOKS = [name for name, value in vars(hookspecs).items() if hasattr(value, f"{hookspecs.PROJECT}_spec")]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = docsite.build(folder)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site):
    return docsite.pages(site)


def test_every_internal_link_leads_to_a_page_and_a_place_in_it(pages):
    broken = []
    known = {page.path: page for page in pages.values()}
    for name, page in pages.items():
        for link in page.links:
            if docsite.is_external(link) or (name == "404.html" and link.startswith("/")):
                continue
            path, anchor = docsite.target(page, link)
            if not path.is_file() or (anchor and path in known and anchor not in known[path].ids):
                broken.append(f"{name}: {link}")

    assert broken == []


def test_no_page_loads_anything_from_elsewhere(site, pages):
    foreign = [f"{name}: {link}" for name, page in pages.items() for link in page.loaded if docsite.is_external(link)]
    fetched = [
        f"{path.name}: {found}"
        for path, text in docsite.styles(site).items()
        for found in re.findall(r"@import[^;]*|url\(\s*[\"']?(?:https?:)?//[^)]*\)", text)
    ]

    assert foreign == []
    assert fetched == []
    # The theme would fetch a library to draw these.
    assert not any("mermaid" in page.classes for page in pages.values())


def test_what_a_page_loads_is_there(pages):
    missing = [
        f"{name}: {link}"
        for name, page in pages.items()
        for link in page.loaded
        if name != "404.html" and not link.startswith("data:") and not docsite.target(page, link)[0].is_file()
    ]

    assert missing == []


def test_every_hook_has_an_entry_in_the_reference(pages):
    assert len(HOOKS) >= 7
    assert [name for name in HOOKS if name not in pages["reference/hooks.html"].ids] == []
    assert [name for name in HOOKS if not getattr(hookspecs, name).__doc__] == []


def test_every_hook_is_implemented_in_some_test():
    """What no test implements may break without anybody seeing it."""
    tests = [path.read_text() for folder in ("core", "tests", "plugins") for path in (ROOT / folder).rglob("*.py")
             if "tests" in path.parts]  # fmt: skip

    missing = [name for name in HOOKS if not any(re.search(rf"@hookimpl.*\s+def {name}\(", text) for text in tests)]

    assert missing == []


def test_every_command_of_every_program_has_a_page_with_its_help(pages):
    for group in (main.pajamas, main.quant, main.run):
        context = click.Context(group, info_name=group.name)
        for command in group.list_commands(context):
            page = pages[f"commands/{command if group is main.pajamas else group.name}.html"]
            assert f"Usage: {group.name} {command}" in page.text


def test_every_public_field_and_member_of_a_record_is_documented(pages):
    reference = pages["reference/records.html"]
    undocumented = []
    for module in ("types", "features", "requests", "answers", "session"):
        for node in ast.parse((ROOT / f"core/src/pajamas/{module}.py").read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and node.name != "BaseSession":
                assert node.name.lower() in reference.ids, f"{node.name} is not in the reference"
                undocumented += [
                    f"{node.name}.{name}" for name in fields(node) if (node.name.lower(), name) not in reference.rows
                ]

    assert undocumented == []


def fields(node):
    """Names of a class's fields and enum members."""
    for part in node.body:
        target = part.target if isinstance(part, ast.AnnAssign) else None
        if isinstance(part, ast.Assign) and len(part.targets) == 1:
            target = part.targets[0]
        if isinstance(target, ast.Name) and not target.id.startswith("_"):
            yield target.id


def test_every_rule_of_the_kit_is_explained(pages):
    unexplained, count = [], 0
    for path in sorted((ROOT / "core/src/pajamas/testing").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                count += 1
                if not ast.get_docstring(node) or node.name not in pages["reference/kit.html"].text:
                    unexplained.append(f"{path.name}: {node.name}")

    assert unexplained == []
    assert count
