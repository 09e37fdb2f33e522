"""The chat on a terminal: line editing, history, and Ctrl-C."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from pajamas.cli import output

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.history import History
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

    from pajamas.cli.chat_loop import ChatLoop


def interact(loop: ChatLoop) -> None:
    """Read turns from the terminal until /quit, Ctrl-D, or Ctrl-C twice at the prompt."""
    output.say(loop.title, bold=True)
    output.say("Ctrl-C stops an answer, Ctrl-D ends the program, /help lists the commands.", dim=True)
    session = _prompt_session(loop.command_words)
    warned = False
    while True:
        try:
            text = session.prompt("> ", prompt_continuation="  ").strip()
            warned = False
            if text and not loop.turn(text):
                return
        except KeyboardInterrupt:
            # At an empty prompt; or in the moment when an answer had just ended.
            if warned:
                return
            warned = True
            output.say("Press Ctrl-C again, or Ctrl-D, to end the program.", dim=True)
        except EOFError:
            return


def _prompt_session(words: list[str]) -> PromptSession[str]:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import WordCompleter

    return PromptSession(
        history=_history(),
        completer=WordCompleter(words, sentence=True),
        complete_while_typing=False,
        key_bindings=_keys(),
        multiline=True,  # pasted lines stay one message; Enter sends it all the same
    )


def _keys() -> KeyBindings:
    from prompt_toolkit.application import get_app
    from prompt_toolkit.filters import Condition
    from prompt_toolkit.key_binding import KeyBindings

    keys = KeyBindings()
    typing = Condition(lambda: not get_app().current_buffer.complete_state)

    @keys.add("enter", filter=typing)
    def send(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.document.text_before_cursor.endswith("\\"):
            buffer.delete_before_cursor()
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @keys.add("c-c")
    def drop(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            event.app.exit(exception=KeyboardInterrupt, style="class:aborting")

    return keys


def _history() -> History:
    """In the user's state folder, readable by that user alone; where that cannot be, for this run only."""
    import platformdirs
    from prompt_toolkit.history import FileHistory, InMemoryHistory

    path = platformdirs.user_state_path("pajamas") / "chat-history"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600))
    except OSError as error:
        click.secho(f"The history is not kept: {path}: {error.strerror}.", dim=True)
        return InMemoryHistory()
    return FileHistory(str(path))
