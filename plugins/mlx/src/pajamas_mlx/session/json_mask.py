"""JSON schemas, held by llguidance: before each token a mask says which ones can still become JSON that fits."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pajamas.errors import EngineError, EngineMissing, UnsupportedFeature, UsageError
from pajamas_mlx import engine

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pajamas_mlx.session.vocabulary import Vocabulary

# A model that likes spaces would otherwise write them until its tokens are used up.
_OPTIONS = {"whitespace_pattern": r"( |\n[ \t]{0,20})?", "lenient": False, "coerce_one_of": False}
_KEY = "x-guidance"
_BEYOND = ("unimplemented", "not supported", "unknown format", "not present in a registry", "too large", "limit")
_LARGEST = 1 << 20


class Guide:
    """A vocabulary as llguidance reads it, made once for a session: for a large one that takes a second.

    Raises:
        EngineMissing: llguidance is not installed.
        UnsupportedFeature: it cannot read this tokenizer.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        try:
            self._library = importlib.import_module("llguidance")
        except ImportError as error:
            raise EngineMissing("A JSON schema needs llguidance.", str(error), engine.INSTALL) from error
        try:
            self._tokenizer = self._library.LLTokenizer(
                vocabulary.serialized, n_vocab=vocabulary.size, eos_token=sorted(vocabulary.end_tokens) or None
            )
        except ValueError as error:
            raise UnsupportedFeature(
                "A JSON schema cannot be enforced with this model.", str(error)[:500], "Check the answer yourself."
            ) from error

    def mask(self, schema: Mapping[str, Any]) -> JSONMask:
        """For one answer.

        Raises:
            UsageError: it is no JSON schema, or allows nothing.
            UnsupportedFeature: it uses what cannot be enforced; the message names it.
        """
        matcher = self._library.LLMatcher
        try:
            text = json.dumps({**schema, _KEY: _OPTIONS})
        except (TypeError, ValueError, RecursionError) as error:
            raise _unusable(str(error) or type(error).__name__) from error
        if len(text) > _LARGEST:
            raise _unusable(f"It is longer than {_LARGEST:,} characters.")
        try:
            matcher.grammar_from_json_schema(text, overrides=_OPTIONS)
            # Many models' last token is "}}" with a line break: without room for that they would write something else.
            grammar = matcher.grammar_from_lark(f'start: %json {text} "\\n"?\n')
        except ValueError as error:
            raise _unusable(str(error)) from error
        _, messages = matcher.validate_grammar_with_warnings(grammar, self._tokenizer)
        if messages:
            # A warning says that something will not be enforced: as bad as an error.
            why = " ".join(messages[0].split())[:500]
            if any(words in why.lower() for words in _BEYOND):
                raise UnsupportedFeature(
                    f"The JSON schema cannot be enforced: {why}",
                    "llguidance, which holds answers to schemas, does not express it.",
                    "Leave it out and check the answer yourself.",
                )
            raise _unusable(why)
        return JSONMask(matcher(self._tokenizer, grammar, log_level=0))


class JSONMask:
    """How far one answer has come in its schema."""

    def __init__(self, matcher: Any) -> None:
        self._matcher = matcher

    @property
    def complete(self) -> bool:
        """Whether nothing can follow."""
        stopped: bool = self._matcher.is_stopped()
        if stopped and self._matcher.is_error():
            raise self._failed()
        return stopped

    def apply(self, logits: NDArray[np.float32]) -> None:
        """Forbid, in place, what the schema does not allow here; ends are allowed where the JSON is complete."""
        words = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        if self._matcher.is_error():
            raise self._failed()
        allowed = np.unpackbits(words, bitorder="little")[: len(logits)].astype(bool)
        logits[: len(allowed)][~allowed] = -np.inf
        logits[len(allowed) :] = -np.inf

    def accept(self, token: int) -> None:
        if not self._matcher.consume_token(token):
            raise self._failed()

    def _failed(self) -> EngineError:
        return EngineError(
            "The JSON schema cannot be followed further.", self._matcher.get_error()[:500], "Simplify it."
        )


def _unusable(why: str) -> UsageError:
    return UsageError("The JSON schema cannot be used.", why[:500], "Check it against json-schema.org.")
