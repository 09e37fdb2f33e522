"""`pajamas generate`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pajamas.cli import output
from pajamas.cli.generation_options import given, loading_options, read_json_option, sampling_options
from pajamas.cli.state import backend_option, json_option
from pajamas.core import run
from pajamas.errors import UsageError

if TYPE_CHECKING:
    from pajamas.types import Chunk, Usage


@click.command("generate")
@click.argument("words", nargs=-1, metavar="[PROMPT]...")
@click.option("-p", "--prompt", help="The prompt. Default: standard input.")
@click.option("--messages", metavar="FILE", help="A JSON list of messages instead of a prompt.")
@click.option("--tools", metavar="FILE", help="A JSON list of tools that the model may call.")
@click.option("--raw", is_flag=True, help="Send the prompt as it is, without the model's chat template.")
@click.option("--json-schema", metavar="JSON|FILE", help="The answer is JSON that fits this schema.")
@click.option("--grammar", "grammar_file", metavar="FILE", help="The answer fits this GBNF grammar.")
@click.option("--logprobs", type=click.IntRange(min=0), metavar="N", help="With --json: N alternatives a token.")
@loading_options
@sampling_options
@backend_option
@json_option
def command(
    words: tuple[str, ...],
    prompt: str | None,
    messages: str | None,
    tools: str | None,
    json_schema: str | None,
    grammar_file: str | None,
    system: str | None,
    model: str | None,
    backend: str | None,
    isolated: bool,
    explain: bool,
    context_length: int | None,
    threads: int | None,
    gpu_layers: int | None,
    kv_type: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Answer one prompt.

    The prompt is sent as a user message where the model has a chat template. Only the answer goes to standard output;
    reasoning and statistics go to standard error.
    """
    if options.get("logprobs") is not None and not as_json:
        raise click.UsageError("--logprobs needs --json: there is nowhere else to show them.")
    request = given(options)
    request |= _conversation(words, prompt, messages, system, raw=options["raw"])
    if tools:
        request["tools"] = read_json_option(tools, "--tools")
    if json_schema:
        request["json_schema"] = read_json_option(json_schema, "--json-schema")
    if grammar_file:
        request["grammar"] = _read(grammar_file)
    loading = given(
        {"context_length": context_length, "threads": threads, "gpu_layers": gpu_layers, "kv_type": kv_type}
    )
    with output.progress() as progress:
        loaded = run("load", path=model, backend=backend, isolated=isolated, progress=progress, **loading)
    with loaded as runtime:
        if explain:
            for reason in runtime.reasons:
                click.echo(reason, err=True)
        if as_json:
            output.print_json(runtime.generate(**request))
            return
        usage = _stream(runtime.stream(**request))
    if usage:
        click.echo(statistics(usage), err=True)


def _conversation(
    words: tuple[str, ...], prompt: str | None, messages: str | None, system: str | None, *, raw: bool
) -> dict[str, Any]:
    if sum((bool(words), prompt is not None, messages is not None)) > 1:
        raise click.UsageError("Give the prompt once: as an argument, by --prompt, or by --messages.")
    if messages is not None:
        found = read_json_option("@" + messages.removeprefix("@"), "--messages")
        if not isinstance(found, list):
            raise UsageError("--messages is not a list of messages.", "", '[{"role": "user", "content": "Hello"}]')
        return {"messages": ([{"role": "system", "content": system}] if system else []) + found}
    text = " ".join(words) if words else prompt
    if text is None or text == "-":
        if sys.stdin.isatty():
            raise click.UsageError("There is no prompt: give one, or send it on standard input.")
        text = sys.stdin.read()
    if not text.strip():
        raise click.UsageError("The prompt is empty.")
    if system:
        if raw:
            raise click.UsageError("--system needs the chat template: leave --raw out.")
        return {"messages": [{"role": "system", "content": system}, {"role": "user", "content": text}]}
    return {"prompt": text}


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read.", str(error), "Check the path.") from error


def _stream(chunks: Iterator[Chunk]) -> Usage | None:
    """The answer to standard output as it comes, reasoning dimmed to standard error."""
    usage = None
    reasoning = False
    for chunk in chunks:
        if chunk.reasoning:
            reasoning = True
            click.secho(chunk.reasoning, dim=True, nl=False, err=True)
        if chunk.text:
            if reasoning:
                reasoning = False
                click.echo(err=True)
            click.echo(chunk.text, nl=False)
            sys.stdout.flush()
        for call in chunk.tool_calls:
            click.echo(f'{{"name": "{call.name}", "arguments": {call.arguments}}}')
        usage = chunk.usage or usage
    click.echo()
    return usage


def statistics(usage: Usage) -> str:
    """One line: counts, rates and the time to the first token."""
    cached = f" ({usage.cached_tokens} cached)" if usage.cached_tokens else ""
    return (
        f"[{usage.prompt_tokens} prompt tokens{cached} at {usage.prompt_tokens_per_second:.1f}/s, "
        f"{usage.completion_tokens} tokens at {usage.generation_tokens_per_second:.1f}/s, "
        f"first after {usage.time_to_first_token * 1000:.0f} ms]"
    )
