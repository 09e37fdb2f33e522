"""The code blocks of the documentation, and what is done with each kind.

Python is executed; `sh` blocks of pajamas commands are run; `console` blocks too, and what they show is compared (`...`
stands for anything); `toml` and `json` are parsed. A comment on the line above a block says otherwise:
`<!-- file: NAME -->` writes the block, or the file that is included whole, into the page's folder, where commands use
it; `<!-- not run: REASON -->` leaves it alone. `pip install -e .` builds the folder's wheel with what is here, and
unpacks it where later commands of the page find it.
"""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path

import docprogram
from sybil import Example, Region, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown.lexers import FencedCodeBlockLexer

import cliprogram

HELPERS = ("python", "cat", "echo", "ls", "cd", "export", "mkdir", "touch", "printf")
"""Commands that may stand beside ours."""
INSTALL = "pip install -e ."
_MARK = re.compile(r"<!-- (?P<what>not run|file): (?P<value>.+?) -->\s*\Z")
_INCLUDE = re.compile(r"^ *<!-- file: (?P<name>.+?) -->\n *\[include\]\((?P<path>.+?)\)$", re.MULTILINE)
_python = PythonEvaluator()


class Undecided(Exception):
    """A block that would be neither run nor left alone on purpose."""


def parse(path):
    """The page's blocks as Sybil's examples, in order; each is evaluated in the folder `namespace["folder"]`."""
    return list(Sybil([_blocks], path=str(path.parent)).parse(path).examples())


def _blocks(document):
    for match in _INCLUDE.finditer(document.text):
        yield Region(match.start(), match.end(), match.groupdict(), _copy)
    for region in FencedCodeBlockLexer(language="[^\n]*")(document):
        mark = _MARK.search(document.text[: region.start])
        region.lexemes["mark"] = (mark["what"], mark["value"]) if mark else ("", "")
        yield Region(region.start, region.end, region.lexemes["source"], evaluate, region.lexemes)


def _copy(example: Example):
    source = Path(example.path).parent / example.parsed["path"]
    _write(example.namespace["folder"] / example.parsed["name"], source.read_text(encoding="utf-8"))


def _write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def evaluate(example: Example):
    what, value = example.region.lexemes["mark"]
    language, folder = example.region.lexemes["language"], example.namespace["folder"]
    if what == "file":
        _write(folder / value, example.parsed)
    if what and language == "python":
        compile(example.parsed, f"{example.path}:{example.line}", "exec")
    if what == "not run" or (what == "file" and language == "python"):
        return  # a file is run by the commands that use it
    kinds = {"python": _python, "sh": _shell, "console": _console, "toml": _toml, "json": _json}
    if language in kinds:
        kinds[language](example)
    elif what != "file":
        raise Undecided(f"a block of {language or 'no language'}: mark it <!-- not run: why -->, or give it a language")


def _toml(example):
    tomllib.loads(example.parsed)


def _json(example):
    json.loads(example.parsed)


def _shell(example):
    for command in _commands(example.parsed):
        if command == INSTALL:
            docprogram.install(example.namespace["folder"])
            continue
        done = docprogram.run(command, example.namespace["folder"])
        assert done.returncode == 0, f"{command}\n{done.stderr}"


def _console(example):
    """A session: `$ command`, and below it what it writes; of one that fails, what it writes to standard error."""
    for part in re.split(r"^\$ ", example.parsed, flags=re.MULTILINE)[1:]:
        lines = part.splitlines(keepends=True)
        count = next(index for index, line in enumerate(lines, 1) if not line.endswith("\\\n"))
        [command] = _commands("".join(lines[:count]))
        done, wanted = docprogram.run(command, example.namespace["folder"]), "".join(lines[count:]).strip()
        failed = wanted.startswith("Error: ")
        assert bool(done.returncode) == failed, f"{command}\nexit code {done.returncode}\n{done.stderr}"
        shown = done.stderr if failed else done.stdout
        if wanted:
            assert matches(wanted, shown), f"{command}\n--- the page shows\n{wanted}\n--- it writes\n{shown}"


def matches(wanted, shown):
    """Whether `shown` is what the page says: `...` is anything, and how wide columns are does not count."""
    pattern = ".*".join(re.escape(part) for part in re.split(r"\.\.\.", _trimmed(wanted)))
    return re.fullmatch(pattern, _trimmed(shown), re.DOTALL) is not None


def _trimmed(text):
    return "\n".join(re.sub(r"(?<=\S) {2,}", "  ", line.rstrip()) for line in text.strip().splitlines())


def _commands(source):
    """The commands of a block, without comments; each line one, unless it ends in a backslash."""
    for line in source.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if not words:
            continue
        if line == INSTALL:
            yield line
            continue
        # In a pipe every part must be known.
        for part in re.split(r"\s\|\s", line):
            first = next((word for word in shlex.split(part, comments=True) if "=" not in word), "export")
            if first not in (*cliprogram.PROGRAMS, *HELPERS):
                raise Undecided(f"{first!r} is not a command that is run here: mark the block <!-- not run: why -->")
        yield line
