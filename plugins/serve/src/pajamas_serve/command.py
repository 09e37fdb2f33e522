"""Serve models by OpenAI's API."""

from __future__ import annotations

import os
import re
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pajamas.cli.plugin import backend_option, complete_models, progress, say, say_field
from pajamas.errors import UsageError
from pajamas.types import LoadOptions
from pajamas_serve.seconds import Seconds

if TYPE_CHECKING:
    from pajamas_serve.settings import ModelSpec, PoolSettings, ServerSettings

KEY_VARIABLE = "PAJAMAS_API_KEY"
_MIB = 2**20
_LOADING = (
    "context_length", "threads", "gpu_layers", "kv_type", "tensor_parallel", "pipeline_parallel", "distributed",
)  # fmt: skip
"""Options that are passed on to each session."""
_ORIGIN = re.compile(r"\*|null|[a-z][a-z0-9+.-]*://[^\s/?#@]+")


@click.command()
@click.option("-m", "--model", "models", multiple=True, metavar="[NAME=]MODEL", shell_complete=complete_models,
              help="A model to serve, under a name of its own if one is given; repeatable. The first answers requests "
              "that name none.")  # fmt: skip
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where to listen.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535), metavar="N",
              help="0 takes one that is free.")  # fmt: skip
@click.option("--api-style", type=click.Choice(["openai"]), default="openai", show_default=True,
              help="Whose API is served.")  # fmt: skip
@click.option("--api-key", "api_keys", multiple=True, metavar="KEY",
              help=f"Ask for this key; repeatable. Also read from {KEY_VARIABLE}.")  # fmt: skip
@click.option(
    "--api-key-file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Keys, one a line."
)
@click.option("--insecure", is_flag=True, help="Open an address that others reach without a key.")
@click.option("--cors-origin", "cors_origins", multiple=True, metavar="ORIGIN",
              help="Let pages of this origin call the API; repeatable, * is all.")  # fmt: skip
@click.option("--alias", "aliases", multiple=True, metavar="NAME[=MODEL]",
              help="A further name for a model, by default the first; repeatable.")  # fmt: skip
@click.option("--pin", "pins", multiple=True, metavar="NAME",
              help="Keep this model loaded; repeatable. Default: the first.")  # fmt: skip
@click.option(
    "--slots",
    type=click.IntRange(min=1),
    metavar="N",
    help="Requests that a worker answers side by side, each with its own context. Default: 8, who share one.",
)
@click.option("--min-workers", type=click.IntRange(min=0), metavar="N", help="Workers of a pinned model at any time.")
@click.option("--max-workers", type=click.IntRange(min=1), metavar="N", help="Most workers of a model.")
@click.option("--idle-timeout", type=Seconds(), metavar="SECONDS",
              help="End workers that nobody has needed for so long. Default: 300.")  # fmt: skip
@click.option(
    "--memory-limit", type=click.IntRange(min=1), metavar="MIB", help="For all workers. Default: what is free."
)
@click.option("--max-queue", type=click.IntRange(min=1), metavar="N", help="Requests that may wait for a slot.")
@click.option("--queue-timeout", type=Seconds(), metavar="SECONDS", help="How long one may wait.")
@click.option("--stall-timeout", type=Seconds(zero=False), metavar="SECONDS",
              help="End a worker that gives no sign for so long while it answers. Default: 600.")  # fmt: skip
@click.option("--request-timeout", type=Seconds(zero=False), metavar="SECONDS",
              help="How long an answer may take.")  # fmt: skip
@click.option("--drain-timeout", type=Seconds(), metavar="SECONDS",
              help="How long answers may go on when the server is to stop.")  # fmt: skip
@click.option("--max-body", type=click.IntRange(min=1), metavar="BYTES", help="Largest request. Default: 16 MiB.")
@click.option("--max-prompt-tokens", type=click.IntRange(min=1), metavar="N", help="Longest prompt.")
@click.option("--max-tokens", type=click.IntRange(min=1), metavar="N", help="Longest answer.")
@click.option("--context", "context_length", type=click.IntRange(min=1), metavar="N",
              help="Context length of each slot, in tokens.")  # fmt: skip
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Threads of each worker.")
@click.option("--gpu-layers", type=click.IntRange(min=0), metavar="N", help="Layers on the GPU.")
@click.option("--kv-type", metavar="TYPE", help="Type of the KV cache: f16, q8_0, ...")
@click.option("--tensor-parallel", type=click.IntRange(min=1), metavar="N", help="GPUs that share each layer (vLLM).")
@click.option(
    "--pipeline-parallel",
    type=click.IntRange(min=1),
    metavar="N",
    help="Groups of GPUs that the layers are dealt to (vLLM).",
)
@click.option("--distributed", metavar="HOW", help="ray: on the machines of a Ray cluster (vLLM).")
@click.option("--python", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Python of the environment that the workers run in.")  # fmt: skip
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True,
              help="Lines for people or for machines.")  # fmt: skip
@click.option("--log-prompts", is_flag=True, help="Put prompts and answers into the log.")
@backend_option
def command(**options: Any) -> None:
    """Serve models by OpenAI's API.

    Each model runs in worker processes, so that an engine that crashes takes no request of another along. Models beyond
    the first are loaded when they are asked for and go when they are idle.

    \b
    pajamas serve --model qwen3-1.7b
    pajamas serve --model qwen3-1.7b --model small=qwen3-0.6b --max-workers 2 --port 8000
    """
    from pajamas_serve import logs
    from pajamas_serve.pool.selection import select
    from pajamas_serve.running_servers import recorded
    from pajamas_serve.server import check_address, listen, serve
    from pajamas_serve.service import Service

    settings = server_settings(options)
    check_address(settings)
    names = tuple(spec.name for spec in settings.models)
    with ExitStack() as stack:
        # First: who has waited for a download would not like to hear then that the port is taken.
        opened = stack.enter_context(listen(settings.host, settings.port))
        address = address_of(settings.host, opened.getsockname()[1])
        # Said before anything is loaded: a model that is not there, or that no backend here takes. Downloads it too.
        with progress(keep=False, doing="Looking up models"):
            for spec in settings.models:
                if spec.pinned:
                    select(spec, settings.pool)
        logs.show(options["log_format"])

        def started(service: Service) -> None:
            stack.enter_context(recorded(address, names, service.token))
            tell("Serving", f"{', '.join(names)} at {address}/v1")

        tell = logs.said if options["log_format"] == "json" else _tell
        serve(settings, opened, started)
    tell("Stopped")


def _tell(what: str, more: str = "") -> None:
    """Say it to people; a server whose standard error is full goes on without."""
    try:
        if more:
            say_field(f"{what}: ", more, err=True)
        else:
            say(f"{what}.", err=True)
    except OSError:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115  # what waits in it would be an error at the exit


def address_of(host: str, port: int) -> str:
    """Where a client on this machine finds the server."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def server_settings(options: dict[str, Any]) -> ServerSettings:
    """The settings that the command's options say.

    Raises:
        UsageError: they contradict each other, or name what is not there.
    """
    from pajamas_serve.settings import PoolSettings, ServerSettings

    if not options["host"].strip():
        raise UsageError("--host is empty.", "", "Give an address of this machine, such as 127.0.0.1.")
    for origin in options["cors_origins"]:
        if not _ORIGIN.fullmatch(origin):
            raise UsageError(
                f"--cors-origin {origin!r} is no origin.", "A browser would never send it.",
                "Write it as https://example.org:8443, without a path, or * for all.",
            )  # fmt: skip
    models = model_specs(options["models"], options["pins"])
    load = {name: options[name] for name in _LOADING}
    limit = options["memory_limit"]
    pool = PoolSettings(
        options=LoadOptions(**load),
        memory_limit=limit * _MIB if limit else None,
        **_given(options, "backend", "python", "slots", "min_workers", "max_workers", "idle_timeout", "max_queue",
                 "queue_timeout", "stall_timeout"),
    )  # fmt: skip
    pool = _consistent(pool, options)
    return ServerSettings(
        models=models,
        aliases=_aliases(options["aliases"], models),
        pool=pool,
        api_keys=_keys(options),
        cors_origins=tuple(options["cors_origins"]),
        **_given(options, "host", "port", "insecure", "request_timeout", "drain_timeout", "max_body",
                 "max_prompt_tokens", "max_tokens", "log_prompts"),
    )  # fmt: skip


def model_specs(given: tuple[str, ...], pins: tuple[str, ...]) -> tuple[ModelSpec, ...]:
    """Raises UsageError for a name that stands for two models, or a pin that stands for none."""
    from pajamas.aliases import DEFAULT_MODEL
    from pajamas_serve.settings import ModelSpec

    references: dict[str, str] = {}
    for text in given or (DEFAULT_MODEL,):
        name, _, reference = text.rpartition("=")
        name = name or (Path(reference).stem if Path(reference).exists() else reference)
        if name in references:
            raise UsageError(f"Two models are called {name!r}.", "", "Name one of them: --model NAME=MODEL")
        references[name] = reference
    if unknown := [name for name in pins if name not in references]:
        raise UsageError(f"--pin {unknown[0]} is no model of this server.", f"It has: {', '.join(references)}.", "")
    pinned = pins or tuple(references)[:1]
    return tuple(ModelSpec(name=name, reference=text, pinned=name in pinned) for name, text in references.items())


def _aliases(given: tuple[str, ...], models: tuple[ModelSpec, ...]) -> dict[str, str]:
    names = [model.name for model in models]
    aliases: dict[str, str] = {}
    for text in given:
        alias, _, name = text.partition("=")
        name = name or names[0]
        if not alias.strip():
            raise UsageError(f"--alias {text!r} is empty.", "", "Write --alias NAME, or --alias NAME=MODEL.")
        if name not in names or alias in names or aliases.get(alias, name) != name:
            raise UsageError(f"--alias {text} is no name for a model.", f"Models: {', '.join(names)}.", "")
        aliases[alias] = name
    return aliases


def _consistent(pool: PoolSettings, options: dict[str, Any]) -> PoolSettings:
    from attrs import evolve

    if pool.min_workers > pool.max_workers:
        if options["max_workers"] is not None:
            raise UsageError("--min-workers is more than --max-workers.", "", "Change one of them.")
        return evolve(pool, max_workers=pool.min_workers)
    return pool


def _keys(options: dict[str, Any]) -> frozenset[str]:
    """Keys of the command line, the file and the environment together."""
    keys = [*options["api_keys"], *filter(None, [os.environ.get(KEY_VARIABLE)])]
    path = options["api_key_file"]
    if path is not None:
        try:
            found = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        except (OSError, ValueError) as error:
            raise UsageError(f"--api-key-file {path} cannot be read.", str(error), "Check the path.") from error
        if not found:
            raise UsageError(f"--api-key-file {path} holds no key.", "", "Write one a line.")
        keys += found
    if any(not key.strip() or not key.isascii() for key in keys):
        raise UsageError("An API key is empty or not ASCII.", "It could not be sent in a header.", "Choose another.")
    return frozenset(keys)


def _given(options: dict[str, Any], *names: str) -> dict[str, Any]:
    """What was said: the settings' own defaults hold for the rest."""
    return {name: options[name] for name in names if options[name] is not None}
