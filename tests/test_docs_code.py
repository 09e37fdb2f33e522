"""Every code block of the documentation does what the page says."""

from __future__ import annotations

import docblocks
import pytest
from docsite import ROOT

from cliprogram import environment, move_into
from pajamas.entry_points import DISABLE_VARIABLE

PAGES = sorted((ROOT / "docs").glob("*.md")) + sorted((ROOT / "docs").glob("[!e]*/*.md"))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder to run a page's blocks in, with a home of its own beside it."""
    folder = tmp_path / "work"
    folder.mkdir()
    move_into(environment(tmp_path / "home", COLUMNS="100"), folder, monkeypatch)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT / "docs").as_posix())
def test_the_blocks_of_a_page_run(path, folder, monkeypatch):
    if path.parent.name != "plugins":
        monkeypatch.setenv(DISABLE_VARIABLE, "pajamas-echo")  # a user has no example installed
    for example in docblocks.parse(path):
        example.document.namespace["folder"] = folder
        try:
            example.evaluate()
        except (Exception, SystemExit) as error:
            raise AssertionError(f"{path.relative_to(ROOT)}, line {example.line}: {error}") from error


def test_the_python_blocks_of_the_readme_run(folder):
    found = [
        example for example in docblocks.parse(ROOT / "README.md") if example.region.lexemes["language"] == "python"
    ]

    assert found
    for example in found:
        example.document.namespace["folder"] = folder
        example.evaluate()


def block(tmp_path, text):
    """The one block of a page with this text, ready to be evaluated."""
    path = tmp_path / "page.md"
    path.write_text(text)
    [example] = docblocks.parse(path)
    example.document.namespace["folder"] = tmp_path
    return example


@pytest.mark.parametrize(
    "text",
    ["```\nfoo\n```", "```text\nfoo\n```", "```sh\nrm -rf x\n```", "```console\n$ pajamas --version | tee x\n```"],
)
def test_a_block_that_nobody_runs_is_an_error_unless_it_is_marked(tmp_path, text):
    with pytest.raises(docblocks.Undecided, match="not run"):
        block(tmp_path, text).evaluate()

    block(tmp_path, f"<!-- not run: why -->\n{text}").evaluate()


@pytest.mark.parametrize(
    "text",
    [
        "```python\nassert False\n```",
        "```json\n{\n```",
        "```sh\npajamas nonsense\n```",
        "```console\n$ pajamas --version\npajamas 99\n```",
        "```console\n$ pajamas nonsense\n```",
    ],
)
def test_a_block_that_does_not_do_what_it_shows_fails(tmp_path, text):
    with pytest.raises((AssertionError, ValueError)):
        block(tmp_path, text).evaluate()


def test_dots_stand_for_anything():
    assert docblocks.matches("one ... four", "one two\nthree four\n")
    assert not docblocks.matches("one ... four", "one two five")
