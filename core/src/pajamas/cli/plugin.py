"""What the author of a command needs, to make it one with core's own: options, plugins, output, progress.

A command is a click command that an entry point of the group `pajamas.commands` names. The first line of its module's
docstring is what `pajamas --help` shows, read without importing the module, so whatever it imports costs only those who
run it. It raises errors of `pajamas.errors`, which the program prints and turns into its exit code:

.. code-block:: python

    \"\"\"Count the tokens of a text.\"\"\"

    import click

    import pajamas
    from pajamas.cli.plugin import backend_option, json_option, plugin_host, print_json, progress, say


    @click.command()
    @click.argument("text")
    @click.option("--model", "-m")
    @backend_option
    @json_option
    @click.pass_context
    def command(ctx, text, model, backend, as_json):
        \"\"\"Count the tokens of TEXT as MODEL splits it.\"\"\"
        with progress(keep=False, doing="Loading") as shown:
            runtime = pajamas.Runtime(model, backend, progress=shown, host=plugin_host(ctx))
        with runtime:
            count = len(runtime.tokenize(text))
        print_json({"tokens": count}) if as_json else say(f"{count} tokens")

These names stay as they are within a major version; the modules they come from may change.
"""

from __future__ import annotations

from pajamas.cli.completion import models as complete_models
from pajamas.cli.findings import exit_code, show_findings
from pajamas.cli.output import plain, print_json, progress, safe, say, say_field, size, write
from pajamas.cli.state import backend_option, json_option, plugin_host, refuse_backend
from pajamas.cli.table import print_table

__all__ = [
    "backend_option",
    "complete_models",
    "exit_code",
    "json_option",
    "plain",
    "plugin_host",
    "print_json",
    "print_table",
    "progress",
    "refuse_backend",
    "safe",
    "say",
    "say_field",
    "show_findings",
    "size",
    "write",
]
