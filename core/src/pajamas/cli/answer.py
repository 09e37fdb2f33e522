"""An answer while it comes: its text, its reasoning, its tool calls, and how it ended."""

from __future__ import annotations

import json

import click

from pajamas.cli import output
from pajamas.types import Chunk, FinishReason, ToolCall, Usage


class AnswerWriter:
    """Writes the chunks of one answer as they come, and keeps what was said.

    Args:
        reasoning_apart: write the reasoning to standard error, so that standard output holds the answer alone.
    """

    def __init__(self, *, reasoning_apart: bool) -> None:
        self.text = ""
        self.reasoning = ""
        self.tool_calls: tuple[ToolCall, ...] = ()
        self.usage: Usage | None = None
        self.finish_reason: FinishReason | None = None
        self._apart = reasoning_apart
        self._last = "\n"

    def feed(self, chunk: Chunk) -> None:
        if chunk.reasoning:
            self.reasoning += chunk.reasoning
            click.secho(output.safe(chunk.reasoning), dim=True, nl=False, err=self._apart)
            self._last = chunk.reasoning[-1]
        if chunk.text:
            if self.reasoning and not self.text:
                self._after_reasoning()
            self.text += chunk.text
            output.write(chunk.text)
            self._last = chunk.text[-1]
        for call in chunk.tool_calls:
            self.finish_line()
            # The arguments are the model's own text: shown as it wrote them, sound JSON or not.
            output.write(f'{{"name": {json.dumps(call.name, ensure_ascii=False)}, "arguments": {call.arguments}}}\n')
        self.tool_calls += chunk.tool_calls
        self.usage = chunk.usage or self.usage
        self.finish_reason = chunk.finish_reason or self.finish_reason

    def finish_line(self) -> None:
        """End the line that is begun, if one is."""
        if self._last != "\n":
            click.echo(err=self._apart and not self.text)
        self._last = "\n"

    def _after_reasoning(self) -> None:
        if self._last != "\n":
            click.echo(err=self._apart)
        click.echo(err=self._apart)


def statistics(usage: Usage) -> str:
    """One line: counts, and the rates and the time to the first token where they were measured."""
    cached = f" ({usage.cached_tokens:,} cached)" if usage.cached_tokens else ""
    prompt = f" at {usage.prompt_tokens_per_second:,.1f}/s" if usage.prompt_seconds else ""
    answer = f" at {usage.generation_tokens_per_second:,.1f}/s" if usage.generation_seconds else ""
    first = f", first after {usage.time_to_first_token * 1000:,.0f} ms" if usage.time_to_first_token else ""
    return f"{usage.prompt_tokens:,} prompt tokens{cached}{prompt}, {usage.completion_tokens:,} tokens{answer}{first}"
