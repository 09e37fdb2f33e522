"""`pajamas env create|list|remove`."""

from __future__ import annotations

import click

from pajamas.cli import completion, output
from pajamas.cli.state import json_option, plugin_host, refuse_backend
from pajamas.cli.table import print_table
from pajamas.core import run


@click.group("env")
@click.pass_context
def command(ctx: click.Context) -> None:
    """Make, list and remove the Python environments that some engines need for themselves."""
    refuse_backend(ctx, "env")


@command.command("create")
@click.argument("name", shell_complete=completion.environments)
@click.option("--cpu", "device", flag_value="cpu", help="For the processor, though this machine has a GPU.")
@click.option("--cuda", "device", flag_value="cuda", help="For NVIDIA GPUs, though this machine has none.")
@click.option("--force", is_flag=True, help="Make it anew though it is as it should be.")
@click.option("--pip-args", default="", metavar="TEXT", help="Options for `pip install`, such as a package index.")
@json_option
@click.pass_context
def create(ctx: click.Context, name: str, device: str | None, force: bool, pip_args: str, as_json: bool) -> None:
    """Make the environment NAME, such as vllm.

    The same pajamas goes into it. It takes minutes and gigabytes. One that is there serves until the new one is whole,
    and stays if it is as it should be. pip's own settings say where packages come from.
    """
    with output.progress() as progress:
        made = run(
            "create_environment",
            name=name,
            device=device,
            force=force,
            pip_args=pip_args,
            progress=progress,
            host=plugin_host(ctx),
        )
    if as_json:
        output.print_json(made)
        return
    engine = made.requirements[0]
    output.say(f"{made.name}: {engine} for {made.variant}, Python {made.python_version}, {output.size(made.size)}")
    output.say(str(made.python))


@command.command("list")
@json_option
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """List environments, and how they stand."""
    found = run("environments", host=plugin_host(ctx))
    if as_json:
        output.print_json(found)
        return
    if not found:
        output.say("No installed plugin needs an environment of its own.")
        return
    rows = [
        (one.name, one.backend or "", one.state, output.size(one.record.size) if one.record else "", one.finding)
        for one in found
    ]
    print_table(("name", "backend", "state", "size", "finding"), rows, right=(3,))
    for one in found:
        if one.python:
            output.say_field(f"{one.name}: ", one.python)
        if one.fix:
            output.say_field("do: ", one.fix)


@command.command("remove")
@click.argument("name", shell_complete=completion.environments)
@json_option
@click.pass_context
def remove(ctx: click.Context, name: str, as_json: bool) -> None:
    """Remove the environment NAME from the disk."""
    run("remove_environment", name=name, host=plugin_host(ctx))
    if as_json:
        output.print_json({"removed": name})
    else:
        output.say(f"{name} is removed.")
