"""The three console scripts: one set of commands under the names `pajamas`, `llama-pajamas-quant`, `llama-pajamas-run`.

Only click is imported to print `--help`: each command's module is imported when the command is run, and its one-line
help stands in the table here.
"""

from __future__ import annotations

import importlib
import os
import sys

import click

from pajamas.errors import PajamasError

COMMANDS = {
    "info": "Say what a model is, and what each profile would take.",
    "pull": "Download a model.",
    "convert": "Convert and quantize a model; write its receipt.",
    "verify": "Check artifacts against their receipts.",
    "generate": "Answer one prompt.",
    "chat": "Talk with a model in the terminal.",
    "list": "List artifacts, downloads and aliases.",
    "plugins": "List plugins, and what is wrong with the broken ones.",
    "doctor": "Say what works on this machine, and how to mend the rest.",
    "demo": "Show the whole pipeline on the bundled model.",
}


class LazyGroup(click.Group):
    """A group whose commands live in `pajamas.cli.NAME`, each as a function `command`."""

    def __init__(self, names: tuple[str, ...], **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]  # click's own options, passed on
        self.names = names

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.names:
            return None
        command = importlib.import_module(f"pajamas.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in self.names])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in self.names:
            import difflib

            near = difflib.get_close_matches(name, self.names)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"There is no command {name!r}.{hint}")
        return super().resolve_command(ctx, args)


def _version(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"pajamas {version('pajamas')}")
        ctx.exit()


def _group(names: tuple[str, ...], text: str) -> LazyGroup:
    return LazyGroup(
        names,
        help=text,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        params=[
            click.Option(
                ["--backend"],
                metavar="NAME",
                help="A backend (gguf, mlx, vllm) or a device (cuda, metal, cpu). Default: by the artifact's format.",
            ),
            click.Option(["-v", "--verbose"], is_flag=True, help="Say more on standard error."),
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
def _remember(ctx: click.Context, backend: str | None, verbose: bool) -> None:
    import logging

    from pajamas.cli.state import State

    ctx.obj = State(backend=backend)
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(levelname)s: %(message)s", stream=sys.stderr
    )


pajamas = _group(
    tuple(COMMANDS),
    "From a Hugging Face repository to a quantized model that is proven good and runs at its engine's native speed.",
)
quant = _group(("info", "convert"), "Convert and quantize models (the commands of `pajamas` that make artifacts).")
run = _group(("generate", "chat"), "Run models (the commands of `pajamas` that answer).")


def _run(group: LazyGroup, name: str) -> int:
    """The exit code: 0 done, 130 Ctrl-C, else as `errors` says for each class."""
    try:
        status = group.main(prog_name=name, standalone_mode=False)
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except PajamasError as error:
        from pajamas.cli.output import show_error

        show_error(error)
        return error.exit_code
    except click.exceptions.Abort:
        click.echo("Interrupted.", err=True)
        return 130
    except KeyboardInterrupt:
        click.echo("Interrupted.", err=True)
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except BrokenPipeError:
        # The reader went away (`| head`): that is no error, but Python would complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def main() -> None:
    sys.exit(_run(pajamas, "pajamas"))


def quant_main() -> None:
    sys.exit(_run(quant, "llama-pajamas-quant"))


def run_main() -> None:
    sys.exit(_run(run, "llama-pajamas-run"))
