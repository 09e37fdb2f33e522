"""Options that `generate` and `chat` share, and what they become."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pajamas.cli import completion
from pajamas.errors import UsageError

if TYPE_CHECKING:
    from pajamas.types import Feature

F = TypeVar("F", bound=Callable[..., Any])


def read_bias(text: str) -> tuple[int, float]:
    """`42=-inf` as (42, -inf).

    Raises:
        ValueError: it is written otherwise.
    """
    token, _, number = text.partition("=")
    return int(token), float(number)


def _biases(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[int, float] | None:
    try:
        return dict(read_bias(value) for value in values) or None
    except ValueError:
        raise click.BadParameter(f"{' '.join(values)!r} is not TOKEN_ID=NUMBER, such as 42=-inf") from None


_LOADING = (
    click.option("-m", "--model", help="An artifact's file or folder, a Hub id, or an alias. "
                 "Default: qwen3-1.7b, or what the configuration says.", shell_complete=completion.models),
    click.option("--context", "context_length", type=click.IntRange(min=1), metavar="N",
                 help="Context length in tokens. Default: what the model was trained for, at most 8192."),
    click.option("--threads", type=click.IntRange(min=1), metavar="N",
                 help="Default: all processors that may be used."),
    click.option("--gpu-layers", type=click.IntRange(min=0), metavar="N",
                 help="Layers on the GPU. Default: all, if there is one."),
    click.option("--kv-type", metavar="TYPE", help="Type of the KV cache. GGUF: f16, q8_0, ... MLX: 8bit, 4bit."),
    click.option("--tensor-parallel", type=click.IntRange(min=1), metavar="N",
                 help="GPUs that share each layer (vLLM). Default: 1."),
    click.option("--pipeline-parallel", type=click.IntRange(min=1), metavar="N",
                 help="Groups of GPUs that the layers are dealt to (vLLM). Default: 1."),
    click.option("--distributed", metavar="HOW", help="ray: on the machines of a Ray cluster (vLLM)."),
    click.option("--isolated", is_flag=True, help="Run the engine in a child process."),
    click.option("--explain", is_flag=True, help="Say on standard error which backend was chosen and why."),
)  # fmt: skip
_SAMPLING = (
    click.option("--mode", type=click.Choice(["thinking", "non-thinking"]), help="Default: as the model's template."),
    click.option("--system", metavar="TEXT", help="A system message."),
    click.option("-n", "--max-tokens", type=click.IntRange(min=1), metavar="N",
                 help="Longest answer. Default: until the model ends."),
    click.option("-t", "--temperature", type=float, metavar="T",
                 help="0 is greedy. Default: the model's own recommendation."),
    click.option("--top-k", type=int, metavar="K", help="Choose among the K likeliest tokens; 0 is all."),
    click.option("--top-p", type=float, metavar="P", help="Choose among the likeliest tokens that make up P."),
    click.option("--min-p", type=float, metavar="P", help="Leave out tokens below P times the likeliest."),
    click.option("--typical-p", type=float, metavar="P", help="Choose among the most typical tokens that make up P."),
    click.option("--repetition-penalty", type=float, metavar="X", help="Divide the logits of recent tokens; 1 is off."),
    click.option("--presence-penalty", type=float, metavar="X", help="Lower recent tokens' logits once; 0 is off."),
    click.option("--frequency-penalty", type=float, metavar="X",
                 help="Lower recent tokens' logits for each use; 0 is off."),
    click.option("--logit-bias", multiple=True, metavar="TOKEN_ID=NUMBER", callback=_biases,
                 help="Add to a token's logit; -inf forbids it. Repeatable."),
    click.option("--seed", type=int, metavar="N", help="Equal seeds give equal answers."),
    click.option("--stop", multiple=True, metavar="TEXT",
                 help="End the answer before this text; repeatable. Reasoning is not looked at."),
    click.option("--ignore-eos", is_flag=True, help="Go on when the model would end; best with --max-tokens."),
)  # fmt: skip


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
    # By identity: 0 is a value, though it equals False.
    return {name: value for name, value in options.items() if not (value is None or value is False or value == ())}


def check(options: dict[str, Any]) -> frozenset[Feature]:
    """The features that the options need; what makes no sense for any model is refused before one is loaded.

    Raises:
        UsageError: names the option.
    """
    from pajamas.keywords import generate_request
    from pajamas.needs import needed_features
    from pajamas.operations.generation import check_request

    # A request that is checked for its options only: any prompt will do.
    request = generate_request({"prompt": "?", **options})
    check_request(request)
    return needed_features(request)


def read_text(path: str, what: str) -> str:
    """A text file that the option `what` names.

    Raises:
        UsageError: it cannot be read, or is not UTF-8.
    """
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UsageError(f"{what}: {path} cannot be read.", _reason(error), "Check the path.") from error


def read_json(text: str, what: str) -> Any:
    """JSON on the command line, or in the file that a path or @path names.

    Raises:
        UsageError: it is neither.
    """
    if not text.lstrip().startswith(("{", "[")) and text not in ("true", "false"):
        text = read_text(text.removeprefix("@"), what)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{what} is not JSON.", str(error), "Give JSON, or a file that holds it.") from error


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"It is not UTF-8 text: byte {error.start} is 0x{error.object[error.start]:02x}."
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
