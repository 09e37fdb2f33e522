"""Whether models read texts as the same tokens, and render conversations to the same prompts, byte for byte."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Literal

from attrs import evolve, frozen

from pajamas.errors import TemplateError, UnsupportedFeature
from pajamas.session import Session
from pajamas_validate.behaviour import first_divergence
from pajamas_validate.equivalence.corpus import Conversation

_SHOWN, _TOKENS_SHOWN = 40, 4
"""Characters and tokens that are shown from the first difference on."""
_FORMS: tuple[Literal["NFC", "NFKC", "NFD", "NFKD"], ...] = ("NFC", "NFKC", "NFD", "NFKD")


@frozen(kw_only=True)
class ReadingDifference:
    """Where two models read or write a text differently."""

    text: str
    """The name of the text or conversation; empty where it does not matter."""
    what: str
    """In the plural: "tokens", "bytes of the prompt"."""
    first: str
    """The label of the first model."""
    second: str
    position: int
    """Of the first token, character or byte that differs."""
    first_shown: str
    second_shown: str
    form: str | None = None
    """The Unicode normal form in which both read the text alike: one engine normalizes texts and the other cannot."""

    @property
    def sentence(self) -> str:
        where = f" of {self.text!r}" if self.text else ""
        why = f" In the form {self.form} both read it alike: one engine normalizes texts." if self.form else ""
        return (
            f"The {self.what}{where} differ from {self.position} on: "
            f"{self.first} has {self.first_shown}, {self.second} has {self.second_shown}.{why}"
        )


def compare_tokens(sessions: Mapping[str, Session], texts: Mapping[str, str]) -> list[ReadingDifference]:
    """Every text by every session, against the first one.

    Texts are tokenized with special tokens written in them as plain text and as tokens; the tokens are turned back into
    text too. What is put around a text is compared once, apart: a missing BOS is one difference, not one a text.
    """
    named = dict(texts)
    for session in sessions.values():
        named |= {f"the {name} {text!r}": f"{text} a{text}b" for name, text in session.special_tokens.items()}
    found = []
    for pair in _pairs(sessions):
        added = [session.tokenize("", add_special=True, parse_special=False) for session in pair.values()]
        found += _of_tokens("", "tokens put around every text", pair, added)
        for name, text in named.items():
            found += _of_text(name, text, pair)
    return found


def compare_prompts(sessions: Mapping[str, Session], conversations: Sequence[Conversation]) -> list[ReadingDifference]:
    """Every conversation as each session's own template renders it, against the first session's.

    A refusal counts as a prompt: it is the same where all templates refuse.
    """
    found = []
    for pair in _pairs(sessions):
        for conversation in conversations:
            prompts = [_prompt(session, conversation).encode() for session in pair.values()]
            at = first_divergence(*prompts)
            if at is None:
                continue
            shown = [repr(prompt[at : at + _SHOWN].decode(errors="replace")) for prompt in prompts]
            found.append(_difference(conversation.id, "bytes of the prompt", pair, at, shown))
    return found


def _of_text(name: str, text: str, pair: Mapping[str, Session]) -> list[ReadingDifference]:
    plain, parsed = (_tokenize(pair, text, parse_special=parse) for parse in (False, True))
    found = _of_tokens(name, "tokens", pair, plain) or _of_tokens(name, "tokens with special ones", pair, parsed)
    if found:
        return [evolve(difference, form=_form(pair, text)) for difference in found]
    back = [session.detokenize(parsed[0]) for session in pair.values()]
    at = first_divergence(*back)
    if at is None:
        return []
    shown = [repr(text[at : at + _SHOWN]) for text in back]
    return [_difference(name, "characters made of the tokens", pair, at, shown)]


def _form(pair: Mapping[str, Session], text: str) -> str | None:
    for form in _FORMS:
        normal = unicodedata.normalize(form, text)
        if normal != text and all(
            first_divergence(*_tokenize(pair, normal, parse_special=parse)) is None for parse in (False, True)
        ):
            return form
    return None


def _tokenize(pair: Mapping[str, Session], text: str, *, parse_special: bool) -> list[list[int]]:
    return [session.tokenize(text, add_special=False, parse_special=parse_special) for session in pair.values()]


def _of_tokens(
    name: str, what: str, pair: Mapping[str, Session], ids: Sequence[Sequence[int]]
) -> list[ReadingDifference]:
    at = first_divergence(*ids)
    if at is None:
        return []
    shown = [
        " ".join(f"{session.detokenize([token])!r} ({token})" for token in tokens[at : at + _TOKENS_SHOWN]) or "nothing"
        for session, tokens in zip(pair.values(), ids, strict=True)
    ]
    return [_difference(name, what, pair, at, shown)]


def _prompt(session: Session, conversation: Conversation) -> str:
    from pajamas.operations.generation import prepare

    try:
        return prepare(session, conversation.request)[0].prompt or ""
    except (UnsupportedFeature, TemplateError) as error:
        return f"(refused: {error.what})"


def _pairs(sessions: Mapping[str, Session]) -> list[dict[str, Session]]:
    first, *others = sessions
    return [{first: sessions[first], other: sessions[other]} for other in others]


def _difference(
    text: str, what: str, pair: Mapping[str, Session], position: int, shown: Sequence[str]
) -> ReadingDifference:
    first, second = pair
    return ReadingDifference(
        text=text,
        what=what,
        first=first,
        second=second,
        position=position,
        first_shown=shown[0],
        second_shown=shown[1],
    )
