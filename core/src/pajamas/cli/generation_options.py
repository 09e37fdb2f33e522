"""Options that `generate` and `chat` share, and the requests and sessions that they make."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from pajamas.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])


def _bias(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[int, float] | None:
    biases = {}
    for value in values:
        token, _equals, number = value.partition("=")
        try:
            biases[int(token)] = float(number)
        except ValueError:
            raise click.BadParameter(f"{value!r} is not TOKEN_ID=NUMBER, such as 42=-inf") from None
    return biases or None


_LOADING = (
    click.option("-m", "--model", help="A .gguf file, an artifact's folder, a Hub id, or an alias."),
    click.option("--context", "context_length", type=click.IntRange(min=1), metavar="TOKENS", help="Context length."),
    click.option("--threads", type=click.IntRange(min=1), help="Default: all processors that may be used."),
    click.option("--gpu-layers", type=click.IntRange(min=0), help="Layers on the GPU. Default: all, if there is one."),
    click.option("--kv-type", metavar="TYPE", help="Type of the KV cache: f16, q8_0, ..."),
    click.option("--isolated", is_flag=True, help="Run the engine in a child process."),
    click.option("--explain", is_flag=True, help="Say on standard error which backend was chosen and why."),
)
_SAMPLING = (
    click.option("--mode", type=click.Choice(["thinking", "non-thinking"]), help="Default: as the model's template."),
    click.option("--system", help="A system message."),
    click.option("-n", "--max-tokens", type=click.IntRange(min=1), help="Default: until the model ends."),
    click.option("-t", "--temperature", type=float, help="0 is greedy. Default: the model's own recommendation."),
    click.option("--top-k", type=int),
    click.option("--top-p", type=float),
    click.option("--min-p", type=float),
    click.option("--typical-p", type=float),
    click.option("--repetition-penalty", type=float),
    click.option("--presence-penalty", type=float),
    click.option("--frequency-penalty", type=float),
    click.option("--logit-bias", multiple=True, metavar="TOKEN_ID=NUMBER", callback=_bias, help="Repeatable."),
    click.option("--seed", type=int, help="Equal seeds give equal answers."),
    click.option("--stop", multiple=True, metavar="TEXT", help="End the answer before this text; repeatable."),
    click.option("--ignore-eos", is_flag=True, help="Go on when the model would end; needs --max-tokens."),
)


def loading_options(function: F) -> F:
    return _apply(_LOADING, function)


def sampling_options(function: F) -> F:
    return _apply(_SAMPLING, function)


def _apply(options: tuple[Callable[[F], F], ...], function: F) -> F:
    for option in reversed(options):
        function = option(function)
    return function


def given(options: dict[str, Any]) -> dict[str, Any]:
    """The options that a person gave: the library's own defaults hold for the others."""
    return {name: value for name, value in options.items() if value not in (None, (), False)}


def read_json_option(text: str, what: str) -> Any:
    """JSON from the command line, or from the file that `@FILE` or a plain path names."""
    path = Path(text.removeprefix("@"))
    try:
        if text.startswith("@") or (not text.lstrip().startswith(("{", "[", "true", "false")) and path.is_file()):
            text = path.read_text(encoding="utf-8")
        return json.loads(text)
    except OSError as error:
        raise UsageError(f"{what} {path} cannot be read.", str(error), "Check the path.") from error
    except ValueError as error:
        raise UsageError(f"{what} is not JSON.", str(error), "Give JSON, or a file that holds it.") from error
