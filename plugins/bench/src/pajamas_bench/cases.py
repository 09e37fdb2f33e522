"""What is asked of a model, and how often."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from attrs import frozen

from pajamas.errors import UsageError

PROMPTS = (("What is 2+2?", 50), ("Explain quantum physics", 200))
"""Asked where nothing else is, with the tokens of the answer."""
ANSWER = 500
"""Tokens of an answer to any other prompt."""
TOGETHER = "Explain quantum physics"
"""Asked several times at once where no prompt is given."""
TOGETHER_ANSWER = 200


Key = tuple[str, str, int]
"""Name, digest of the prompt, tokens of the answer."""


@frozen(kw_only=True)
class Case:
    """One request, or several at once."""

    name: str
    answer_tokens: int
    """Where the backend can ignore the model's end exactly so many, else at most."""
    prompt: str | None = None
    """Sent as a user message where the model has a chat template."""
    context: int | None = None
    """Instead of a prompt: tokens of prompt and answer together."""
    concurrency: int | None = None
    """Requests at once; None is one request that is measured by itself."""

    @property
    def asked(self) -> str:
        """The beginning of the prompt's SHA-256 in hexadecimal digits: names are shortened. "" for a context."""
        return "" if self.prompt is None else hashlib.sha256(self.prompt.encode("utf-8", "replace")).hexdigest()[:16]

    @property
    def key(self) -> Key:
        """What makes figures of two runs comparable."""
        return self.name, self.asked, self.answer_tokens


def plan(
    *,
    prompt: str | None = None,
    num_tokens: int | None = None,
    contexts: Sequence[int] = (),
    concurrency: Sequence[int] = (),
) -> tuple[Case, ...]:
    """The cases of a benchmark: those that are asked for, or the two prompts of `PROMPTS`.

    Raises:
        UsageError: a number makes no sense, and is named.
    """
    _check(num_tokens, contexts, concurrency)
    if prompt is not None and not prompt.strip():
        raise UsageError("The prompt is empty.", "", "Write something, or leave --prompt out.")
    cases = []
    if prompt is not None:
        cases.append(Case(name=_short(prompt), prompt=prompt, answer_tokens=num_tokens or ANSWER))
    elif not contexts and not concurrency:
        cases += [Case(name=text, prompt=text, answer_tokens=num_tokens or count) for text, count in PROMPTS]
    for context in contexts:
        answer = num_tokens or ANSWER
        if context <= answer:
            raise UsageError(
                f"A context of {context} tokens leaves no room for a prompt.",
                f"The answer takes {answer} of them.",
                "Use a smaller --num-tokens.",
            )
        cases.append(Case(name=f"context {context:,}", context=context, answer_tokens=answer))
    answer = num_tokens or (TOGETHER_ANSWER if prompt is None else ANSWER)
    for count in concurrency:
        cases.append(Case(name=f"{count} at once", prompt=prompt or TOGETHER, answer_tokens=answer, concurrency=count))
    return tuple(cases)


def _check(num_tokens: int | None, contexts: Sequence[int], concurrency: Sequence[int]) -> None:
    if num_tokens is not None and num_tokens < 2:
        raise UsageError(f"An answer of {num_tokens} tokens has no speed.", "", "Ask for two tokens at least.")
    for what, values in (("context length", contexts), ("concurrency", concurrency)):
        for value in values:
            if value < 1:
                raise UsageError(f"There is no {what} of {value}.", "", "Name numbers from 1 on, by commas.")
        if len(set(values)) < len(values):
            raise UsageError(f"A {what} is named twice.", f"They are {', '.join(map(str, values))}.", "")


def _short(prompt: str) -> str:
    line = " ".join(prompt.split())
    return line if len(line) <= 32 else f"{line[:31]}…"
