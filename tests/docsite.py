"""The built documentation site, read as a browser reads it: elements, links, and what a page would load."""

from __future__ import annotations

import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parents[1]
_LOADED = {"link": "href", "object": "data"} | dict.fromkeys(
    ("script", "img", "iframe", "source", "video", "audio", "embed"), "src"
)
"""Elements that fetch something when a page is opened, and the attribute that says what."""


def build(target):
    """The finished `mkdocs build --strict` into `target`."""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(target)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )


class Page(HTMLParser):
    """One built page: the ids in it, its links, what it loads, and its tables' rows by heading's id and first word."""

    def __init__(self, path):
        super().__init__()
        self.path = path
        self.ids, self.links, self.loaded, self.rows, self.classes = set(), [], [], {}, set()
        self.text = ""
        self._row, self._heading = None, ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids |= {given[name] for name in ("id", "name") if given.get(name)}
        self.classes |= set((given.get("class") or "").split())
        if tag == "a" and given.get("href") is not None:
            self.links.append(given["href"])
        if tag in _LOADED and given.get(_LOADED[tag]):
            self.loaded.append(given[_LOADED[tag]])
        self.loaded += [part.split()[0] for part in (given.get("srcset") or "").split(",") if part.strip()]
        if tag in ("h1", "h2", "h3"):
            self._heading = given.get("id") or ""
        elif tag == "tr":
            self._row = []
        elif tag in ("td", "th") and self._row is not None:
            self._row.append("")

    def handle_endtag(self, tag):
        if tag == "tr" and self._row:
            cells = [cell.strip() for cell in self._row]
            self.rows[self._heading, cells[0].split()[0] if cells[0] else ""] = cells
            self._row = None

    def handle_data(self, data):
        self.text += data
        if self._row:
            self._row[-1] += data


def is_external(link):
    parts = urlsplit(link)
    return bool(parts.netloc) or parts.scheme not in ("", "data")


def target(page, link):
    """The file that an internal link of `page` leads to, and the id in it, or an empty one."""
    parts = urlsplit(link)
    path = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
    return (path / "index.html" if path.is_dir() else path), unquote(parts.fragment)


def pages(site):
    return {path.relative_to(site).as_posix(): Page(path) for path in sorted(site.rglob("*.html"))}


def styles(site):
    return {path: path.read_text(encoding="utf-8") for path in Path(site).rglob("*.css")}
