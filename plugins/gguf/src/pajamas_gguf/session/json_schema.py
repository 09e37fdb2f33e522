"""JSON schemas as grammars.

llama-cpp-python's converter does the work, but it passes over keywords that it does not know: what would not hold in
the answer is refused here first.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from typing import Any

from pajamas.errors import UnsupportedFeature, UsageError
from pajamas_gguf import engine

_ANNOTATIONS = {
    "title", "description", "default", "examples", "$schema", "$id", "$anchor", "$defs", "definitions", "$comment",
    "deprecated", "readOnly", "writeOnly", "format", "contentEncoding", "contentMediaType", "discriminator",
}  # fmt: skip
_STRING, _ARRAY, _OBJECT = {"minLength", "maxLength", "pattern"}, {"items", "prefixItems"}, {"properties", "required"}
_COUNTS = {"minItems", "maxItems"}
# The converter allows any character in strings, but JSON forbids control characters there.
_LOOSE_CHARACTER, _STRICT_CHARACTER = '[^"\\\\] |', '[^"\\\\\\x00-\\x1F\\x7F] |'
_LARGEST = 1 << 20


def to_grammar(schema: Mapping[str, Any]) -> str:
    """GBNF that admits exactly (but for formats) the JSON texts that the schema does.

    Raises:
        UsageError: it is no JSON schema.
        UnsupportedFeature: it uses a keyword that cannot be enforced here; the message names it.
    """
    engine.library()
    converter = importlib.import_module("llama_cpp.llama_grammar")
    try:
        text = json.dumps(schema)
        if len(text) > _LARGEST:
            raise UsageError("the JSON schema is too large", f"it is longer than {_LARGEST:,} characters", "")
        # What the converter sees is what was checked: plain JSON, and a copy that it may change.
        plain = json.loads(text)
        _check(plain, "#")
        grammar: str = converter.json_schema_to_gbnf(text)
    except (AssertionError, AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error) or type(error).__name__
        raise UsageError("the JSON schema cannot be used", why, "check it against json-schema.org") from error
    return grammar.replace(_LOOSE_CHARACTER, _STRICT_CHARACTER)


def _check(schema: Any, place: str) -> None:
    """Follow the converter's own branches: a keyword that the chosen branch does not read is refused."""
    if not isinstance(schema, dict):
        raise UsageError(f"the JSON schema is wrong at {place}", "a schema is an object here, not true or false", "")
    known = _known(schema, place)
    extra = sorted(set(schema) - known - _ANNOTATIONS)
    if extra:
        raise UnsupportedFeature(
            f"the JSON schema's {extra[0]!r} at {place} cannot be enforced",
            "llama.cpp's grammars do not express it" + (f" beside {min(known)!r}" if known else ""),
            "leave it out and check the answer yourself",
        )
    for name in ("$defs", "definitions", "properties"):
        for key, inner in _mapping(schema, name, place).items():
            _check(inner, f"{place}/{name}/{key}")
    for name in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for number, inner in enumerate(schema.get(name, ())):
            _check(inner, f"{place}/{name}/{number}")
    for name in ("items", "additionalProperties"):
        inner = schema.get(name)
        if isinstance(inner, list):
            for number, item in enumerate(inner):
                _check(item, f"{place}/{name}/{number}")
        elif inner is not None and not isinstance(inner, bool):
            _check(inner, f"{place}/{name}")


def _known(schema: dict[str, Any], place: str) -> set[str]:
    """The keywords that decide here, in the converter's order of precedence."""
    kind = schema.get("type")
    for alone in ("$ref", "oneOf", "anyOf"):
        if alone in schema:
            return {alone}
    if isinstance(kind, list):
        return {"type"}
    for alone in ("const", "enum"):
        if alone in schema:
            return {alone, "type"}
    if kind in (None, "object") and ("properties" in schema or schema.get("additionalProperties") not in (None, True)):
        missing = set(schema.get("required", ())) - set(_mapping(schema, "properties", place))
        if missing:
            raise UnsupportedFeature(
                f"the JSON schema requires {min(missing)!r} at {place}, but does not describe it",
                "llama.cpp's grammars express required properties only with a schema of their own",
                "add it to properties",
            )
        return {"type", "additionalProperties"} | _OBJECT
    if kind in (None, "object") and "allOf" in schema:
        if all(set(part) <= {"type", "$ref"} | _OBJECT | _ANNOTATIONS for part in schema["allOf"]):
            return {"type", "allOf"}
        raise UnsupportedFeature(f"the JSON schema's 'allOf' at {place} cannot be enforced", "", "merge its parts")
    if kind in (None, "array") and ("items" in schema or "prefixItems" in schema):
        tuples = "prefixItems" in schema or isinstance(schema.get("items"), list)
        return {"type"} | _ARRAY | (set() if tuples else _COUNTS)
    if kind in (None, "string") and "pattern" in schema:
        return {"type", "pattern"}
    if kind == "string":
        return {"type"} | (_STRING if not schema.get("format") else set())
    return {"type", "additionalProperties"} if kind == "object" else {"type"}


def _mapping(schema: dict[str, Any], name: str, place: str) -> dict[str, Any]:
    found = schema.get(name, {})
    if not isinstance(found, dict):
        raise UsageError(f"the JSON schema is wrong at {place}/{name}", "it should be an object", "")
    return found
