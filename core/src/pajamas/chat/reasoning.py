"""Splits an answer into its reasoning and the rest.

The opening tag counts only where it is the first thing in the answer; later it is a text about tags. Templates that end
the prompt inside the tag start the splitter in reasoning. Newlines around the tags belong to the tags, as Qwen's
template writes them.
"""

from __future__ import annotations

from enum import Enum, auto

from pajamas.chat.scan import MAX_SPACE, find_first, held, split_space

Piece = tuple[bool, str]
"""Whether it is reasoning, and the text."""


class _State(Enum):
    START = auto()
    OPENED = auto()  # newlines may follow the opening tag
    REASONING = auto()
    CLOSED = auto()  # newlines may follow the closing tag
    TEXT = auto()  # no reasoning yet: a closing tag without its opener may come
    PLAIN = auto()  # no tag is looked for any more


class ReasoningSplitter:
    """Gives back pieces in order, as early as no tag can still be in them."""

    def __init__(self, tags: tuple[str, str], *, started: bool) -> None:
        self._open, self._close = tags
        self._started = started
        self._state = _State.START
        self._buffer = ""

    def feed(self, text: str) -> list[Piece]:
        self._buffer += text
        pieces: list[Piece] = []
        before = None
        while before is not self._state:  # a step that changes the state may leave work for the next
            before = self._state
            pieces += self._step()
        return [piece for piece in pieces if piece[1]]

    def finish(self) -> list[Piece]:
        rest, self._buffer = self._buffer, ""
        if not rest or self._state in (_State.OPENED, _State.CLOSED):
            return []
        return [(self._state is _State.REASONING or (self._state is _State.START and self._started), rest)]

    def _step(self) -> list[Piece]:
        match self._state:
            case _State.START:
                self._start()
            case _State.OPENED | _State.CLOSED:
                self._buffer = self._buffer.lstrip("\n")
                if self._buffer:
                    self._state = _State.REASONING if self._state is _State.OPENED else _State.PLAIN
            case _State.REASONING:
                return self._reasoning()
            case _State.TEXT:
                return self._text()
            case _State.PLAIN:
                return [(False, self._take(len(self._buffer)))]
        return []

    def _start(self) -> None:
        begun = self._buffer.lstrip()
        if len(self._buffer) - len(begun) <= MAX_SPACE:
            if begun.startswith(self._open):
                self._buffer = begun.removeprefix(self._open)
                self._state = _State.OPENED
                return
            if self._open.startswith(begun):
                return
        self._state = _State.OPENED if self._started else _State.TEXT

    def _reasoning(self) -> list[Piece]:
        end = self._buffer.find(self._close)
        if end >= 0:
            text, _ = split_space(self._take(end), "\n")
            self._take(len(self._close))
            self._state = _State.CLOSED
            return [(True, text)]
        certain = self._buffer[: len(self._buffer) - held(self._buffer, (self._close,))]
        return [(True, self._take(len(split_space(certain, "\n")[0])))]

    def _text(self) -> list[Piece]:
        found = find_first(self._buffer, (self._open, self._close))
        if found is None:
            return [(False, self._take(len(self._buffer) - held(self._buffer, (self._open, self._close))))]
        position, tag = found
        if tag == self._open:
            self._state = _State.PLAIN
            return []
        text = self._take(position)
        self._take(len(tag))
        self._state = _State.CLOSED
        return [(False, text)]

    def _take(self, count: int) -> str:
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken
