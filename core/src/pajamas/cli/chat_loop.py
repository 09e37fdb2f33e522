"""The chat program: turns, commands, and an answer that Ctrl-C stops."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pajamas.chat.conversation import Conversation
from pajamas.cli.generate import statistics
from pajamas.cli.output import show_error
from pajamas.errors import PajamasError, UsageError

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession

    from pajamas.runtime import Runtime
    from pajamas.types import Chunk, ToolCall, Usage


class ChatLoop:
    """One conversation with one loaded model."""

    def __init__(self, runtime: Runtime, system: str | None, options: dict[str, Any]) -> None:
        self._runtime = runtime
        self._options = options
        self._conversation = Conversation.start(system)
        self._usage: Usage | None = None
        self._commands: dict[str, tuple[Callable[[str], None], str, str]] = {
            "/help": (self._help, "", "list the commands"),
            "/reset": (self._reset, "", "forget the conversation; the system message stays"),
            "/system": (self._system, "TEXT", "set the system message; without TEXT show it"),
            "/save": (self._save, "FILE", "write the conversation to a file"),
            "/load": (self._load, "FILE", "go on with a conversation from a file"),
            "/set": (self._set, "NAME VALUE", "set an option, such as temperature 0.2; without VALUE unset it"),
            "/stats": (self._stats, "", "counts and speed of the last answer"),
            "/quit": (lambda _: None, "", "end the program"),
        }

    def interact(self) -> None:
        """Read turns from the terminal until /quit or Ctrl-D."""
        session = self._prompt_session()
        click.echo("Ctrl-C stops an answer, Ctrl-D ends the program, /help lists the commands.")
        while True:
            try:
                line = session.prompt("> ")
            except KeyboardInterrupt:
                continue
            except EOFError:
                return
            if line.strip() and not self.turn(line.strip()):
                return

    def _prompt_session(self) -> PromptSession[str]:
        import platformdirs
        from prompt_toolkit import PromptSession
        from prompt_toolkit.completion import WordCompleter
        from prompt_toolkit.history import FileHistory

        history = platformdirs.user_state_path("pajamas", ensure_exists=True) / "chat-history"
        completer = WordCompleter(list(self._commands), sentence=True)
        return PromptSession(history=FileHistory(str(history)), completer=completer, complete_while_typing=False)

    def turn(self, line: str) -> bool:
        """Handle one line: a command or a message. False ends the program."""
        if not line.startswith("/"):
            try:
                self._answer(line)
            except PajamasError as error:
                show_error(error)
            return True
        name, _, argument = line.partition(" ")
        if name == "/quit":
            return False
        if name not in self._commands:
            click.echo(f"There is no command {name}; /help lists them.", err=True)
            return True
        try:
            self._commands[name][0](argument.strip())
        except PajamasError as error:
            show_error(error)
        return True

    def _answer(self, text: str) -> None:
        """Stream one answer. What was said before Ctrl-C stays in the conversation; a failed turn leaves no trace."""
        asked = self._conversation.user(text)
        said, thought = "", ""
        calls: list[ToolCall] = []
        chunks = self._runtime.stream(messages=asked.messages, **self._options)
        with _closing(chunks):
            try:
                for chunk in chunks:
                    self._show(chunk, fresh=not said, after_reasoning=bool(thought))
                    said += chunk.text
                    thought += chunk.reasoning
                    calls += chunk.tool_calls
                    self._usage = chunk.usage or self._usage
            except KeyboardInterrupt:
                click.secho(" [stopped]", dim=True, nl=False)
        click.echo()
        self._conversation = asked.assistant(said, reasoning=thought, tool_calls=tuple(calls))

    def _show(self, chunk: Chunk, *, fresh: bool, after_reasoning: bool) -> None:
        if chunk.reasoning:
            click.secho(chunk.reasoning, dim=True, nl=False)
        if chunk.text:
            click.echo("\n\n" if fresh and (after_reasoning or chunk.reasoning) else "", nl=False)
            click.echo(chunk.text, nl=False)
        for call in chunk.tool_calls:
            click.echo(f"\n{call.name}({call.arguments})", nl=False)
        sys.stdout.flush()

    def _help(self, _: str) -> None:
        for name, (_command, argument, text) in self._commands.items():
            click.echo(f"{name + ' ' + argument:<18} {text}")

    def _reset(self, _: str) -> None:
        self._conversation = self._conversation.reset()

    def _system(self, text: str) -> None:
        if text:
            self._conversation = self._conversation.with_system(text)
        else:
            click.echo(self._conversation.system or "There is no system message.")

    def _save(self, name: str) -> None:
        if not name:
            raise UsageError("/save needs a file name.", "", "/save talk.json")
        self._conversation.save(Path(name).expanduser())

    def _load(self, name: str) -> None:
        if not name:
            raise UsageError("/load needs a file name.", "", "/load talk.json")
        self._conversation = Conversation.load(Path(name).expanduser())
        click.echo(f"{len(self._conversation.messages)} messages.")

    def _set(self, argument: str) -> None:
        name, _, value = argument.partition(" ")
        name = name.replace("-", "_")
        if not name:
            click.echo(json.dumps(self._options, ensure_ascii=False) if self._options else "No option is set.")
            return
        options = {key: old for key, old in self._options.items() if key != name}
        if value.strip():
            options[name] = _value(value.strip())
        self._runtime.check(messages=({"role": "user", "content": "?"},), **options)
        self._options = options

    def _stats(self, _: str) -> None:
        click.echo(statistics(self._usage) if self._usage else "There is no answer yet.")


def _value(text: str) -> Any:
    """A JSON value where it is one, else the text itself: `0.7`, `true`, `thinking`, `["END"]`."""
    try:
        return json.loads(text)
    except ValueError:
        return text


@contextmanager
def _closing(chunks: Iterator[Chunk]) -> Iterator[None]:
    """Close a stream that is left early: that frees the session for the next turn at once."""
    try:
        yield
    finally:
        close = getattr(chunks, "close", None)
        if close:
            close()
