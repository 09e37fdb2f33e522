"""Asking a session, as the rules about answers do it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import fields_dict, frozen

from pajamas.features import Feature
from pajamas.types import GenerateRequest, Sampling

if TYPE_CHECKING:
    from pajamas.types import Chunk, Session

TOKENS = 48
"""How long answers are where nothing else is asked for."""
_SAMPLING = frozenset(fields_dict(Sampling))


@frozen(kw_only=True)
class Told:
    """One whole answer."""

    chunks: tuple[Chunk, ...]
    text: str
    tokens: tuple[int, ...]

    @property
    def reason(self) -> str | None:
        return self.chunks[-1].finish_reason if self.chunks else None


def request(prompt: str | None = None, **options: Any) -> GenerateRequest:
    """A greedy request for at most `TOKENS` tokens; `options` are fields of `GenerateRequest` and `Sampling`."""
    sampling = {"temperature": 0.0} | {name: options.pop(name) for name in _SAMPLING & set(options)}
    return GenerateRequest(prompt=prompt, sampling=Sampling(**sampling), **{"max_tokens": TOKENS, **options})


def ask(session: Session, prompt: str | None = None, **options: Any) -> Told:
    """The whole answer to `request(prompt, **options)`: an exact one if nothing else is said and the session declares
    `exact`, because the rules compare answers token by token.
    """
    if Feature.EXACT in session.features:
        options = {"exact": True, **options}
    return read(session.generate(request(prompt, **options)))


def read(stream: Any) -> Told:
    chunks = tuple(stream)
    return Told(
        chunks=chunks,
        text="".join(chunk.text for chunk in chunks),
        tokens=tuple(token for chunk in chunks for token in chunk.token_ids),
    )
