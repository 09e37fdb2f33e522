"""JSON schemas, held by llguidance in vLLM's engine: what it cannot enforce is refused before."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from typing import Any

from pajamas.errors import EngineMissing, UnsupportedFeature, UsageError
from pajamas_vllm import engine

BACKEND = "guidance"
"""vLLM's name for llguidance. Of its others, xgrammar passes over some keywords in silence."""
# A model that likes spaces would otherwise write them until its tokens are used up. `whitespace_pattern` does not help:
# what it matches may be repeated.
_OPTIONS = {
    "whitespace_flexible": False, "key_separator": ": ?", "item_separator": ", ?", "lenient": False,
    "coerce_one_of": False,
}  # fmt: skip
_KEY = "x-guidance"
_BEYOND = ("unimplemented", "not supported", "unknown format", "not present in a registry", "too large", "limit")
_LARGEST = 1 << 20


def enforced(schema: Mapping[str, Any]) -> str:
    """The schema as text, with the options that llguidance reads from it.

    Raises:
        UsageError: it is no JSON schema, or allows nothing.
        UnsupportedFeature: it uses what cannot be enforced; the message names it.
    """
    try:
        text = json.dumps({**schema, _KEY: _OPTIONS})
    except (TypeError, ValueError, RecursionError) as error:
        raise _unusable(str(error) or type(error).__name__) from error
    if len(text) > _LARGEST:
        raise _unusable(f"It is longer than {_LARGEST:,} characters.")
    try:
        matcher = importlib.import_module("llguidance").LLMatcher
    except ImportError as error:
        raise EngineMissing("A JSON schema needs llguidance.", str(error), engine.INSTALL) from error
    try:
        grammar = matcher.grammar_from_json_schema(text)
    except ValueError as error:
        raise _unusable(str(error)) from error
    _, messages = matcher.validate_grammar_with_warnings(grammar, None)
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
    return text


def _unusable(why: str) -> UsageError:
    return UsageError("The JSON schema cannot be used.", why[:500], "Check it against json-schema.org.")
