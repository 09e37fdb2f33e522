"""A page for each command, from its own `--help`."""

from __future__ import annotations

import click
from click.testing import CliRunner

from pajamas.cli import main

WIDTH = 90
"""Columns of the help texts: what fits a page's code block."""

_WIDE = "---\nhide:\n  - toc\n---\n\n"
"""Leaves the table of contents out, so that a help text fits."""

_INTRODUCTION = """# Commands

`pajamas` has a command for each step. `llama-pajamas-quant` and `llama-pajamas-run` are the same commands under other
names: [llama-pajamas-quant](llama-pajamas-quant.md), [llama-pajamas-run](llama-pajamas-run.md). Every command that
reports takes `--json`.
"""


def pages() -> dict[str, str]:
    """Address to Markdown, in the order of `pajamas --help`; the three programs' own pages with them."""
    first = main.pajamas.make_context("pajamas", ["--help"], resilient_parsing=True)
    names = main.pajamas.list_commands(first)
    table = "\n".join(f"| [`{name}`]({name}.md) | {_first_line(_help(main.pajamas, name))} |" for name in names)
    found = {
        "commands/index.md": f"{_WIDE}{_INTRODUCTION}\n| command | what it does |\n|---|---|\n{table}\n\n"
        f"## pajamas --help\n\n{_block(_help(main.pajamas))}"
    }
    for name in names:
        parts = [f"{_WIDE}# {name}\n\n{_block(_help(main.pajamas, name))}"]
        command = main.pajamas.get_command(first, name)
        inside = command.list_commands(first) if isinstance(command, click.Group) else []
        parts += [f"## {name} {inner}\n\n{_block(_help(main.pajamas, name, inner))}" for inner in inside]
        found[f"commands/{name}.md"] = "\n".join(parts)
    for group in (main.quant, main.run):
        inside = group.list_commands(group.make_context(str(group.name), ["--help"], resilient_parsing=True))
        parts = [f"{_WIDE}# {group.name}\n\n{_block(_help(group))}"]
        parts += [f"## {group.name} {name}\n\n{_block(_help(group, name))}" for name in inside]
        found[f"commands/{group.name}.md"] = "\n".join(parts)
    return found


def _help(group: click.Group, *command: str) -> str:
    result = CliRunner().invoke(group, [*command, "--help"], prog_name=group.name, terminal_width=WIDTH)
    if result.exit_code:
        raise RuntimeError(f"{group.name} {' '.join(command)} --help failed: {result.output}") from result.exception
    return result.output


def _first_line(text: str) -> str:
    """What the command does, in its help: the paragraph after the usage."""
    return " ".join(text.split("\n\n")[1].split())


def _block(text: str) -> str:
    return f"```text\n{text.rstrip()}\n```\n"
