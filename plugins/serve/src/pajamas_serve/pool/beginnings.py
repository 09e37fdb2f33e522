"""Which worker has computed the beginning of a prompt: engines keep their last prompts, and use them again."""

from __future__ import annotations

from collections.abc import Sequence

_LETTERS = 512
_TOKENS = 128
"""A beginning is as many whole pieces of this size as two prompts have in common. Less is computed anew in no time."""

Marks = tuple[int, ...]
"""One number a piece of a prompt; it stands for all that comes before it too."""


def marks(prompt: str | Sequence[int] | None) -> Marks:
    """Of a prompt's text or tokens."""
    if prompt is None:
        return ()
    size = _LETTERS if isinstance(prompt, str) else _TOKENS
    found: list[int] = []
    for end in range(size, len(prompt) + 1, size):
        piece = prompt[end - size : end]
        found.append(hash((found[-1] if found else 0, piece if isinstance(piece, str) else tuple(piece))))
    return tuple(found)


class Beginnings:
    """Of the last prompts of one worker."""

    def __init__(self) -> None:
        self._prompts: list[Marks] = []

    def add(self, prompt: Marks, most: int) -> None:
        """The worker computes it now. Args: most: prompts that it keeps."""
        if not prompt:
            return
        # What it goes on from is a part of it from now on.
        self._prompts = [known for known in self._prompts if known != prompt[: len(known)]]
        self._prompts.append(prompt)
        del self._prompts[:-most]

    def common(self, prompt: Marks) -> int:
        """Pieces at the beginning of `prompt` that the worker has computed."""
        return max((_common(known, prompt) for known in self._prompts), default=0)


def _common(known: Marks, prompt: Marks) -> int:
    for number, (one, other) in enumerate(zip(known, prompt, strict=False)):
        if one != other:
            return number
    return min(len(known), len(prompt))
