"""What can be said of one answer without knowing the right one: it ends, does not loop, keeps to what was asked."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from attrs import frozen

from pajamas.errors import UsageError
from pajamas_validate.suite import Case, Suite

if TYPE_CHECKING:
    from pajamas.operations.generation import GenerateResult

_TAGS = re.compile(r"</?think>|<\|channel\|>|</?tool_call>|<\|im_(?:start|end)\|>")
_LOOP_REPEATS, _LOOP_TOKENS = 4, 24
_SURE = 0.6
"""From this probability on the language detector is believed; short answers are often undecided."""


def faults(case: Case, answer: GenerateResult, languages: Sequence[str] = ()) -> tuple[str, ...]:
    """What is wrong with an answer, a sentence each; empty if nothing.

    Args:
        languages: those that the suite asks for; the answer's is looked for among them and English.
    """
    found = [
        _not_ended(case, answer),
        _loops(answer),
        _stray_tags(answer),
        _thinking(case, answer),
        _not_expected(case, answer),
        _other_language(case, answer, languages),
        _against_schema(case, answer),
        _wrong_call(case, answer),
    ]
    return tuple(fault for fault in found if fault)


def loop_length(token_ids: Sequence[int]) -> int | None:
    """The length of the piece that the answer's end repeats over and over, or None.

    A loop is a period that fills the last 24 tokens or more and stands there at least four times. Counting is none: its
    numbers differ.
    """
    for period in range(1, len(token_ids) // _LOOP_REPEATS + 1):
        span = max(period * _LOOP_REPEATS, _LOOP_TOKENS)
        if span > len(token_ids):
            break
        tail = token_ids[-span:]
        if tail[period:] == tail[:-period]:
            return period
    return None


def _not_ended(case: Case, answer: GenerateResult) -> str | None:
    if not case.ends or answer.finish_reason != "length":
        return None
    return f"It does not come to an end within {case.max_tokens} tokens."


def _loops(answer: GenerateResult) -> str | None:
    period = loop_length(answer.token_ids)
    return f"It repeats the same {period} token(s) over and over." if period else None


def _stray_tags(answer: GenerateResult) -> str | None:
    found = _TAGS.search(answer.text)
    return f"The answer holds a stray {found.group()!r}." if found else None


def _thinking(case: Case, answer: GenerateResult) -> str | None:
    if case.mode == "thinking":
        if not answer.reasoning.strip():
            return "There is no reasoning, though it was asked to think."
        if not answer.text.strip() and not answer.tool_calls:
            return "The reasoning is not followed by an answer."
    if case.mode == "non-thinking" and answer.reasoning.strip():
        return "It reasons, though it was asked not to."
    return None


def _not_expected(case: Case, answer: GenerateResult) -> str | None:
    if case.expect is None or re.search(case.expect, answer.text):
        return None
    return f"It does not contain what is expected ({case.expect})."


def _other_language(case: Case, answer: GenerateResult, languages: Sequence[str]) -> str | None:
    if case.language is None:
        return None
    spoken, sure = _language(tuple(sorted({*languages, case.language, "en"})), answer.text)
    if spoken == case.language or sure < _SURE:
        return None
    return f"It was asked in {case.language} and answers in {spoken}."


def refuse_unknown_languages(suite: Suite) -> None:
    """Raises UsageError for a language that the detector cannot tell from others: every answer would be wrong."""
    if not suite.languages:
        return
    known = _identifier(suite.languages).all_languages
    for case in suite.cases:
        if case.language is not None and case.language not in known:
            raise UsageError(
                f"The suite {suite.name}, case {case.id!r}, asks for the language {case.language!r}.",
                f"Known are {', '.join(sorted(known))}.",
                "Name one of them, by its ISO 639-1 code.",
            )


@frozen(kw_only=True, eq=False)
class _Detector:
    identifier: Any
    all_languages: frozenset[str]


@lru_cache(maxsize=4)
def _identifier(languages: tuple[str, ...]) -> _Detector:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    made = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    known = frozenset(str(language) for language in made.nb_classes)
    if chosen := [language for language in languages if language in known]:
        made.set_languages(chosen)
    return _Detector(identifier=made, all_languages=known)


def _language(languages: tuple[str, ...], text: str) -> tuple[str, float]:
    language, probability = _identifier(languages).identifier.classify(text)
    return str(language), float(probability)


def _against_schema(case: Case, answer: GenerateResult) -> str | None:
    if case.json_schema is None:
        return None
    import jsonschema

    try:
        jsonschema.validate(json.loads(answer.text), case.json_schema)
    except ValueError:
        return "It is not JSON."
    except jsonschema.ValidationError as error:
        return f"It does not obey the JSON schema: {error.message}."
    return None


def _wrong_call(case: Case, answer: GenerateResult) -> str | None:
    if case.call is None:
        return None
    calls = [call for call in answer.tool_calls if call.name == case.call]
    if not calls:
        return f"It does not call {case.call}."
    if case.arguments is not None and not re.search(case.arguments, calls[0].arguments):
        return f"It calls {case.call} with {calls[0].arguments}."
    return None
