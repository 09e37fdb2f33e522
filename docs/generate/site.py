"""The mkdocs hook of the documentation site: pages made from the code, and code shown in pages.

Nothing here is stored: each build reads the commands' `--help`, the hook specifications, the records and the kit anew.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import command_pages
import hook_pages
import includes
import kit_pages
import record_pages
from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
CORE = ROOT / "core/src/pajamas"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    commands = command_pages.pages()
    pages = {
        **commands,
        "reference/hooks.md": hook_pages.page(CORE),
        "reference/records.md": record_pages.page(CORE),
        "reference/kit.md": kit_pages.page(CORE / "testing"),
        "project/changelog.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
        "project/contributing.md": (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"),
    }
    for uri, text in pages.items():
        files.append(File.generated(config, uri, content=text))
    for section in config.nav or ():
        if section.get("Commands") == "commands/":
            section["Commands"] = list(commands)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    source = page.file.abs_src_path
    return includes.expand(markdown, Path(source).parent) if source else markdown
