"""`pajamas plugins`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from pajamas import summary
from pajamas.cli import output
from pajamas.cli.state import json_option, plugin_host, refuse_backend
from pajamas.cli.table import print_table
from pajamas.core import run

if TYPE_CHECKING:
    from pajamas.operations.plugin_list import PluginStatus
    from pajamas.types import BackendInfo


@click.command("plugins")
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """List the installed plugins and what each adds; a broken one with its distribution, version and the reason.

    Each is tried in a process of its own, and not for long.
    """
    refuse_backend(ctx, "plugins")
    found = run("plugins", host=plugin_host(ctx))
    if as_json:
        output.print_json(found)
        return
    if not found:
        output.say("No plugin is installed. `pip install pajamas-gguf` brings the backend for GGUF files.")
        return
    rows = [(plugin.name, plugin.kind, f"{plugin.distribution} {plugin.version}", _state(plugin)) for plugin in found]
    print_table(("name", "kind", "distribution", "state"), rows)
    for plugin in found:
        if plugin.info:
            click.echo()
            _show_backend(plugin.name, plugin.info)
        if plugin.aliases or plugin.metrics:
            click.echo()
            output.say(f"{plugin.name}: what {plugin.distribution} adds", bold=True)
            _show_names("alias", plugin.aliases)
            _show_names("metric", plugin.metrics)
    for plugin in found:
        for note in plugin.notes:
            output.say_field("Note: ", f"{plugin.distribution} {plugin.version}, {plugin.name}: {note}.", err=True)


def _show_names(label: str, named: Mapping[str, str]) -> None:
    for name, text in named.items():
        output.say_field(f"{label}:", f"{name}: {text}", indent=2, width=10)


def _state(plugin: PluginStatus) -> str:
    text = plugin.problem or (plugin.info.unavailable if plugin.info else None) or "ok"
    return " ".join(text.split())


def _show_backend(name: str, info: BackendInfo) -> None:
    output.say(f"{name}: {summary.describe_engine(info)}", bold=True)
    for label, words in (
        ("formats", info.formats),
        ("devices", info.devices),
        ("schemes", info.schemes),
        ("features", sorted(info.features)),
        *((("python", [str(info.python)]),) if info.python is not None else ()),
    ):
        output.say_field(f"{label}:", ", ".join(words) or "none", indent=2, width=10)
    for note in info.notes:
        output.say_field("note:", note, indent=2, width=10)
