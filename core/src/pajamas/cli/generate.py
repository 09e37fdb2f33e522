"""`pajamas generate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pajamas.cli import generation_options, output
from pajamas.cli.answer import AnswerWriter, statistics
from pajamas.cli.generation_options import given, loading_options, sampling_options
from pajamas.cli.loading import load
from pajamas.cli.standard_input import read_all
from pajamas.cli.state import backend_option, json_option
from pajamas.errors import UsageError
from pajamas.types import Feature

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pajamas.types import Chunk


@click.command("generate")
@click.argument("words", nargs=-1, metavar="[PROMPT]...")
@click.option("-p", "--prompt", metavar="TEXT", help="The prompt. Default: standard input.")
@click.option("--messages", metavar="JSON|FILE", help="A list of messages instead of a prompt.")
@click.option("--tools", metavar="JSON|FILE", help="A list of tools that the model may call.")
@click.option("--raw", is_flag=True, help="Send the prompt as it is, without the model's chat template.")
@click.option("--json-schema", metavar="JSON|FILE", help="The answer is JSON that fits this schema.")
@click.option("--grammar", "grammar_file", metavar="FILE", help="The answer fits this GBNF grammar.")
@click.option(
    "--prompt-cache",
    metavar="FILE",
    help="Start from what this file, if it is there, holds of the prompt; write it anew after the answer.",
)
@click.option("--logprobs", type=click.IntRange(min=0), metavar="N", help="With --json: N alternatives a token.")
@loading_options
@sampling_options
@backend_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    words: tuple[str, ...],
    prompt: str | None,
    messages: str | None,
    tools: str | None,
    json_schema: str | None,
    grammar_file: str | None,
    prompt_cache: str | None,
    system: str | None,
    model: str | None,
    backend: str | None,
    isolated: bool,
    explain: bool,
    context_length: int | None,
    threads: int | None,
    gpu_layers: int | None,
    kv_type: str | None,
    tensor_parallel: int | None,
    pipeline_parallel: int | None,
    distributed: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Answer one prompt.

    The prompt is sent as a user message where the model has a chat template. Only the answer goes to standard output;
    reasoning and statistics go to standard error.

    \b
    pajamas generate --model tiny "What is 2+2?"
    pajamas generate --model qwen3-8b --mode thinking < question.txt
    """
    if options.get("logprobs") is not None and not as_json:
        raise click.UsageError("--logprobs needs --json: there is nowhere else to show them.")
    request = given(options)
    if tools is not None:
        request["tools"] = _list(tools, "--tools")
    if json_schema is not None:
        request["json_schema"] = generation_options.read_json(json_schema, "--json-schema")
    if grammar_file is not None:
        request["grammar"] = generation_options.read_text(grammar_file, "--grammar")
    needs = generation_options.check(request) | ({Feature.PROMPT_CACHE} if prompt_cache else frozenset())
    request |= _conversation(words, prompt, messages, system, raw=options["raw"])
    loaded = load(
        ctx,
        model=model,
        backend=backend,
        isolated=isolated,
        explain=explain,
        context_length=context_length,
        threads=threads,
        gpu_layers=gpu_layers,
        kv_type=kv_type,
        tensor_parallel=tensor_parallel,
        pipeline_parallel=pipeline_parallel,
        distributed=distributed,
        needs=needs,
    )
    with loaded as runtime:
        if prompt_cache and Path(prompt_cache).expanduser().exists():
            runtime.load_prompt_cache(prompt_cache)
        if as_json:
            output.print_json(runtime.generate(**request))
        else:
            _stream(runtime.stream(**request), request.get("max_tokens"))
        if prompt_cache:
            runtime.save_prompt_cache(prompt_cache)


def _conversation(
    words: tuple[str, ...], prompt: str | None, messages: str | None, system: str | None, *, raw: bool
) -> dict[str, Any]:
    if sum((bool(words), prompt is not None, messages is not None)) > 1:
        raise click.UsageError("Give the prompt once: as an argument, by --prompt, or by --messages.")
    if system and raw:
        raise click.UsageError("--system needs the chat template: leave --raw out.")
    before = ({"role": "system", "content": system},) if system else ()
    if messages is not None:
        if raw:
            raise click.UsageError("--messages needs the chat template: leave --raw out.")
        return {"messages": (*before, *_list(messages, "--messages"))}
    text = " ".join(words) if words else prompt
    if text is None or text == "-":
        if sys.stdin is None or sys.stdin.isatty():
            raise click.UsageError("There is no prompt: give one, or send it on standard input.")
        text = read_all()
    if not text.strip():
        raise click.UsageError("The prompt is empty.")
    return {"messages": (*before, {"role": "user", "content": text})} if before else {"prompt": text}


def _list(text: str, what: str) -> list[Any]:
    found = generation_options.read_json(text, what)
    if not isinstance(found, list):
        raise UsageError(
            f"{what} is not a list.", f"Its JSON is a {type(found).__name__}.", "Write it as [{...}, ...]."
        )
    return found


def _stream(chunks: Iterator[Chunk], max_tokens: int | None) -> None:
    writer = AnswerWriter(reasoning_apart=True)
    try:
        for chunk in chunks:
            writer.feed(chunk)
    finally:
        writer.finish_line()
    if not writer.usage:
        return
    ending = ""
    if writer.finish_reason == "length":
        # Fewer tokens than were allowed: it was the context that ended the answer.
        cut = max_tokens is not None and writer.usage.completion_tokens >= max_tokens
        ending = "; cut off at --max-tokens" if cut else "; cut off: the context is full"
    output.say(f"[{statistics(writer.usage)}{ending}]", err=True, dim=True)
