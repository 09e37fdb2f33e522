"""A distribution without a backend: `pajamas-abacus` adds a command, an operation, an alias and a metric."""

from __future__ import annotations

import textwrap
from pathlib import Path

FILES = {
    "pajamas_abacus-0.4.dist-info/METADATA": """\
        Metadata-Version: 2.1
        Name: pajamas-abacus
        Version: 0.4
        Summary: Counts things.
        Requires-Dist: pajamas>=0.1
        """,
    "pajamas_abacus-0.4.dist-info/entry_points.txt": """\
        [pajamas.plugins]
        abacus = pajamas_abacus.hooks

        [pajamas.commands]
        count = pajamas_abacus.command:command

        [pajamas.operations]
        count = pajamas_abacus.counting:count
        """,
    "pajamas_abacus/__init__.py": "",
    "pajamas_abacus/hooks.py": '''\
        """The hooks of the abacus."""

        from pathlib import Path

        from pajamas.hookspecs import hookimpl
        from pajamas.types import Finding


        @hookimpl
        def model_aliases():
            return {"pebble": "Org/Pebble"}


        @hookimpl
        def validation_metrics():
            return {"token-count": "how many tokens the text is"}


        @hookimpl
        def validate(job):
            if "token-count" not in job.metrics:
                return None
            return [Finding(metric="token-count", value=len(job.candidate.tokenize(job.text)), unit="tokens")]


        @hookimpl
        def report(job):
            page = job.folder / "tokens.txt"
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(f"{job.finding('token-count').value:.0f}")
            return page
        ''',
    "pajamas_abacus/counting.py": '''\
        """Counting, for the library."""

        from pajamas import Runtime


        def count(text, model=None, *, backend=None, host=None):
            with Runtime(model, backend, host=host) as runtime:
                return len(runtime.tokenize(text))
        ''',
    "pajamas_abacus/command.py": '''\
        """Count the tokens of a text.

        What follows is not shown in the list of commands.
        """

        import click

        import pajamas
        from pajamas.cli.plugin import backend_option, complete_models, json_option, plugin_host, print_json, say


        @click.command()
        @click.argument("text")
        @click.option("--model", "-m", shell_complete=complete_models, help="What splits it.")
        @backend_option
        @json_option
        @click.pass_context
        def command(ctx, text, model, backend, as_json):
            """Count the tokens of TEXT."""
            count = pajamas.run("count", text=text, model=model, backend=backend, host=plugin_host(ctx))
            print_json({"tokens": count}) if as_json else say(f"{count} tokens")
        ''',
}


def write(root: Path) -> None:
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))
