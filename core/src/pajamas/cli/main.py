"""The three console scripts: one set of commands under the names `pajamas`, `llama-pajamas-quant`, `llama-pajamas-run`.

Only click is imported to print `--help`: each command's module is imported when the command is run, and its one-line
help stands in the table here. Those of plugins are found by metadata, and their help in their source.
"""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from pajamas.errors import PajamasError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from click.shell_completion import CompletionItem

    from pajamas.cli.plugin_commands import Offer

COMMANDS = {
    "info": "Say what a model is, and what each profile would take.",
    "pull": "Download a model.",
    "convert": "Convert and quantize a model; write its receipt.",
    "verify": "Check artifacts against their receipts.",
    "generate": "Answer one prompt.",
    "chat": "Talk with a model in the terminal.",
    "list": "List artifacts, downloads and aliases.",
    "plugins": "List plugins, and what is wrong with the broken ones.",
    "env": "Make, list and remove the Python environments that some engines need.",
    "doctor": "Say what works on this machine, and how to mend the rest.",
    "demo": "Show the whole pipeline on the bundled model.",
}

_EPILOG = """\b
Exit codes: 0 done, 1 failed, 2 usage, 3 model not found, 4 unsupported,
5 failed its threshold, 6 too small a sample to judge, 130 interrupted.
\b
Shell completion, for the start-up file of bash (zsh_source is for zsh):
  eval "$({variable}=bash_source {name})"
In fish: {variable}=fish_source {name} | source
"""


class _ReaderGone(Exception):
    """Nobody reads standard output any more (`| head`)."""


class LazyGroup(click.Group):
    """A group whose commands live in `pajamas.cli.NAME`, each as a function `command`, and in plugins.

    Args:
        names: commands of core.
        added: commands that it has if a plugin provides them; None is all that plugins provide.
    """

    def __init__(self, names: tuple[str, ...], added: tuple[str, ...] | None, **options: Any) -> None:
        super().__init__(**options)
        self.names = names
        self.added = added

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.names, *self._offers()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self.names:
            command = importlib.import_module(f"pajamas.cli.{cmd_name}").command
            assert isinstance(command, click.Command)
            return _with_logging(command)
        if not self._is_added(cmd_name):
            return None
        from pajamas.cli import plugin_commands

        try:
            return _with_logging(plugin_commands.load(cmd_name))
        except PajamasError:
            if ctx.resilient_parsing:  # a shell that completes is not told of it
                return None
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in self.names])
        if offers := self._offers():
            with formatter.section("Commands of plugins"):
                formatter.write_dl([(name, offer.help()) for name, offer in offers.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        found = [CompletionItem(name, help=COMMANDS[name]) for name in self.names if name.startswith(incomplete)]
        found += [
            CompletionItem(name, help=offer.help())
            for name, offer in self._offers().items()
            if name.startswith(incomplete)
        ]
        # Not the group's own, which would import every command for its help.
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in self.names and not self._is_added(name):
            import difflib

            near = difflib.get_close_matches(name, self.list_commands(ctx))
            elsewhere = f" It is a command of `pajamas`: pajamas {name}" if name in pajamas.list_commands(ctx) else ""
            hint = f" Did you mean {near[0]!r}?" if near else elsewhere
            ctx.fail(f"There is no command {name!r}.{hint}")
        return super().resolve_command(ctx, args)

    def _is_added(self, name: str) -> bool:
        from pajamas.cli import plugin_commands

        wanted = name not in COMMANDS and (self.added is None or name in self.added)
        return wanted and plugin_commands.is_offered(name)

    def _offers(self) -> Mapping[str, Offer]:
        from pajamas.cli import plugin_commands

        return plugin_commands.offers(COMMANDS, self.added)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            # click would end with exit code 1, as if something had failed.
            raise _ReaderGone from error


def _version(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"pajamas {version('pajamas')}")
        ctx.exit()


def _complete_backend(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from pajamas.cli.completion import backends

    return backends(incomplete)


_LOGGING = (
    click.Option(["-v", "--verbose"], is_flag=True, help="Say on standard error what is being done."),
    click.Option(["--trace-hooks"], is_flag=True, help="Say on standard error which hooks are called."),
)
"""The group's, and taken after the command too."""


def _with_logging(command: click.Command) -> click.Command:
    """The command with the options of `_LOGGING`, but for those that it has for itself. Its help stays as it is."""
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            _with_logging(inner)
    taken = {name for parameter in command.params for name in parameter.opts}
    for option in _LOGGING:
        if taken.isdisjoint(option.opts):
            late = click.Option(option.opts, is_flag=True, hidden=True, expose_value=False, callback=_log_too)
            command.params.append(late)
    return command


def _log_too(ctx: click.Context, option: click.Parameter, asked: bool) -> None:
    from attrs import evolve

    from pajamas.cli import logs
    from pajamas.cli.state import State

    if asked and isinstance(ctx.obj, State):
        named = option.name == "verbose"
        ctx.obj = evolve(ctx.obj, verbose=named or ctx.obj.verbose, trace_hooks=not named or ctx.obj.trace_hooks)
        logs.show(verbose=ctx.obj.verbose, trace_hooks=ctx.obj.trace_hooks)


def _group(program: str, names: tuple[str, ...], added: tuple[str, ...] | None, text: str) -> LazyGroup:
    return LazyGroup(
        names,
        added,
        name=program,
        help=text,
        epilog=_EPILOG.format(variable=f"_{program}_COMPLETE".replace("-", "_").upper(), name=program),
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        params=[
            click.Option(
                ["--backend"],
                metavar="NAME",
                shell_complete=_complete_backend,
                help="A backend (`pajamas plugins` lists them) or a device (cuda, metal, cpu). "
                "Default: by the artifact's format.",
            ),
            *_LOGGING,
            click.Option(
                ["--version"],
                is_flag=True,
                is_eager=True,
                expose_value=False,
                callback=_version,
                help="Show the version and exit.",
            ),
        ],
        callback=_remember,
    )


@click.pass_context
def _remember(ctx: click.Context, backend: str | None, verbose: bool, trace_hooks: bool) -> None:
    from pajamas.cli import logs, output
    from pajamas.cli.state import State

    ctx.color = output.color()  # the command's own context inherits it
    ctx.obj = State(backend=backend, verbose=verbose, trace_hooks=trace_hooks)
    logs.show(verbose=verbose, trace_hooks=trace_hooks)


pajamas = _group(
    "pajamas",
    tuple(COMMANDS),
    None,
    "From a Hugging Face repository to a quantized model that is proven good and runs at its engine's native speed.",
)
quant = _group(
    "llama-pajamas-quant",
    ("info", "convert"),
    ("validate",),
    "Convert and quantize models (the commands of `pajamas` that make artifacts).",
)
run = _group(
    "llama-pajamas-run",
    ("generate", "chat"),
    ("benchmark", "serve"),
    "Run models (the commands of `pajamas` that answer).",
)


def _run(group: LazyGroup) -> int:
    """The exit code: 0 done, 130 Ctrl-C, else as `errors` says for each class."""
    for stream in (sys.stdout, sys.stderr):
        # An answer or a file name may hold what the terminal's encoding lacks: shown escaped, it is no reason to fail.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        status = group.main(prog_name=group.name, standalone_mode=False)
        if sys.stdout is not None:  # closed by the shell's `>&-`
            sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except PajamasError as error:
        from pajamas.cli.output import show_error

        show_error(error)
        return error.exit_code
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (_ReaderGone, BrokenPipeError):
        _drop_output()
        return 0
    except OSError as error:
        # A stream has no file name: where there is one, the error is not about what we write here.
        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise
        _drop_output()
        click.echo(f"Error: standard output cannot be written to: {error.strerror}.", err=True)
        return 1


def _drop_output() -> None:
    """Python would complain when it flushes standard output at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> None:
    sys.exit(_run(pajamas))


def quant_main() -> None:
    sys.exit(_run(quant))


def run_main() -> None:
    sys.exit(_run(run))
