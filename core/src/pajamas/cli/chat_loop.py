"""The turns of a chat: a message and its answer, or a command."""

from __future__ import annotations

import shlex
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pajamas.chat.conversation import Conversation
from pajamas.cli import chat_settings, output
from pajamas.cli.answer import AnswerWriter, statistics
from pajamas.errors import ContextOverflow, PajamasError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from pajamas.runtime import Runtime
    from pajamas.types import Chunk, Usage


class ChatLoop:
    """One conversation with one loaded model.

    Args:
        options: generation options, as `Runtime.stream` takes them.
        on_terminal: a person is there: reasoning is part of what is shown, and Ctrl-C stops no more than the answer.
    """

    def __init__(self, runtime: Runtime, system: str | None, options: dict[str, Any], *, on_terminal: bool) -> None:
        self._runtime = runtime
        self._options = options
        self._conversation = Conversation.start(system)
        self._usage: Usage | None = None
        self._on_terminal = on_terminal
        self._ended = False
        self._commands: dict[str, tuple[Callable[[str], None], str, str]] = {
            "/help": (self._help, "", "list the commands"),
            "/reset": (self._reset, "", "forget the conversation; the system message stays"),
            "/system": (self._system, "[TEXT]", "set the system message, or show it; `/system -` removes it"),
            "/save": (self._save, "FILE", "write the conversation to a file"),
            "/load": (self._load, "FILE", "go on with a conversation from a file"),
            "/set": (self._set, "[NAME [VALUE]]", "set an option, unset it without VALUE, or list all"),
            "/stats": (self._stats, "", "counts and speed of the last answer"),
            "/quit": (self._quit, "", "end the program"),
        }

    @property
    def title(self) -> str:
        session = self._runtime.session
        return f"{self._runtime.artifact.path.name} on {session.backend}, {session.context_length:,} tokens of context."

    @property
    def command_words(self) -> list[str]:
        """What a person may begin a line with, for completion."""
        return [*self._commands, *(f"/set {name}" for name in chat_settings.NAMES)]

    def turn(self, text: str) -> bool:
        """Handle one input: a command or a message. False ends the program."""
        try:
            if not text.startswith("/"):
                self._answer(text)
                return True
            name, _, argument = text.partition(" ")
            if name not in self._commands:
                raise UsageError(f"There is no command {name}.", "", "/help lists them.")
            self._commands[name][0](argument.strip())
        except PajamasError as error:
            output.show_error(error)
        return not self._ended

    def _answer(self, text: str) -> None:
        """Stream one answer. What was said before Ctrl-C stays in the conversation; a failed turn leaves no trace."""
        asked = self._conversation.user(text)
        writer = AnswerWriter(reasoning_apart=not self._on_terminal)
        stopped = False
        try:
            chunks = self._runtime.stream(messages=asked.messages, **self._options)
            # Closing a stream that is left early frees the session for the next turn.
            with closing(cast("Generator[Chunk]", chunks)):
                for chunk in chunks:
                    writer.feed(chunk)
        except KeyboardInterrupt:
            if not self._on_terminal:
                raise
            stopped = True
        except ContextOverflow as error:
            fix = "/reset forgets the conversation; or start with a longer --context."
            raise ContextOverflow(error.what, error.why, fix) from error
        finally:
            writer.finish_line()
        self._usage = writer.usage or self._usage
        if writer.text or writer.tool_calls:
            self._conversation = asked.assistant(writer.text, reasoning=writer.reasoning, tool_calls=writer.tool_calls)
        self._remark(writer, stopped)

    def _remark(self, writer: AnswerWriter, stopped: bool) -> None:
        """What a person should know of how the answer ended."""
        remark = ""
        if stopped or writer.finish_reason == "cancelled":
            remark = "stopped" if writer.text else "stopped; your message is not kept"
        elif writer.finish_reason == "length" and writer.usage:
            room = self._runtime.session.context_length - writer.usage.prompt_tokens - writer.usage.completion_tokens
            full = "cut off: the context is full; /reset forgets the conversation"
            remark = full if room < 1 else "cut off at max-tokens"
        if remark:
            output.say(f"[{remark}]", err=not self._on_terminal, dim=True)

    def _help(self, _: str) -> None:
        for name, (_command, argument, text) in self._commands.items():
            output.say(f"{name + ' ' + argument:<21} {text}")
        output.say()
        output.say("Alt-Enter, or \\ at the end of a line, begins another line of the same message.")
        output.say("Ctrl-C stops an answer. Ctrl-D, or Ctrl-C twice at the prompt, ends the program.")

    def _quit(self, _: str) -> None:
        self._ended = True

    def _reset(self, _: str) -> None:
        self._conversation = self._conversation.reset()
        output.say("The conversation is forgotten.", dim=True)

    def _system(self, text: str) -> None:
        if text:
            self._conversation = self._conversation.with_system(None if text == "-" else text)
        output.say(self._conversation.system or "There is no system message.", dim=True)

    def _save(self, name: str) -> None:
        path = _path(name, "/save")
        self._conversation.save(path)
        output.say(f"{self._count()} written to {path}.", dim=True)

    def _load(self, name: str) -> None:
        path = _path(name, "/load")
        self._conversation = Conversation.load(path)
        output.say(f"{self._count()} read from {path}.", dim=True)

    def _count(self) -> str:
        count = len(self._conversation.messages)
        return f"{count} message{'' if count == 1 else 's'}"

    def _set(self, argument: str) -> None:
        if argument:
            options = chat_settings.changed(self._options, argument)
            self._runtime.check(messages=({"role": "user", "content": "?"},), **options)
            self._options = options
        output.say(chat_settings.describe(self._options), dim=True)

    def _stats(self, _: str) -> None:
        if self._usage is None:
            output.say("There is no answer yet.", dim=True)
            return
        used = self._usage.prompt_tokens + self._usage.completion_tokens
        output.say(statistics(self._usage), dim=True)
        output.say(f"{used:,} of {self._runtime.session.context_length:,} tokens of the context are used", dim=True)


def _path(name: str, command: str) -> Path:
    if not name:
        raise UsageError(f"{command} needs a file name.", "", f"{command} talk.json")
    try:
        words = shlex.split(name)
    except ValueError as error:
        raise UsageError(f"{name} is no file name.", f"{error}.", f'{command} "my talk.json"') from error
    # A name with spaces needs no quotes: nothing else stands beside it.
    return Path(words[0] if len(words) == 1 else name).expanduser()
