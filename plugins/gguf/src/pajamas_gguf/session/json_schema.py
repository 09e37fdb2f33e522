"""JSON schemas as grammars.

llama-cpp-python's converter does the work, but it passes over keywords that it does not know: what would not hold in
the answer is refused here first.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Mapping
from typing import Any

from pajamas.errors import UnsupportedFeature, UsageError
from pajamas_gguf import engine
from pajamas_gguf.session.json_pattern import literal, to_rule

_ANNOTATIONS = {
    "title", "description", "default", "examples", "$schema", "$id", "$anchor", "$defs", "definitions", "$comment",
    "deprecated", "readOnly", "writeOnly", "format", "contentEncoding", "contentMediaType", "discriminator",
}  # fmt: skip
_STRING, _ARRAY, _OBJECT = {"minLength", "maxLength", "pattern"}, {"items", "prefixItems"}, {"properties", "required"}
_COUNTS = {"minItems", "maxItems"}
# The converter allows any character in strings, but JSON forbids control characters there.
_LOOSE_CHARACTER, _STRICT_CHARACTER = '[^"\\\\] |', '[^"\\\\\\x00-\\x1F\\x7F] |'
_LARGEST, _DEEPEST = 1 << 20, 200
_TYPES: dict[str, Any] = {"string": str, "number": (int, float), "object": dict, "array": list}


def to_grammar(schema: Mapping[str, Any]) -> str:
    """GBNF that admits exactly (but for formats) the JSON texts that the schema does, and a line break after them.

    Raises:
        UsageError: it is no JSON schema.
        UnsupportedFeature: it uses a keyword that cannot be enforced here; the message names it.
    """
    engine.library()
    converter = importlib.import_module("llama_cpp.llama_grammar")
    try:
        text = json.dumps(schema)
        if len(text) > _LARGEST:
            raise UsageError("The JSON schema is too large.", f"It is longer than {_LARGEST:,} characters.", "")
        # What the converter sees is what was checked: plain JSON, and a copy that it may change.
        plain = json.loads(text)
        _check(plain, "#")
        grammar = _converted(converter, plain)
    except (AssertionError, AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError) as error:
        why = "It is nested too deeply." if isinstance(error, RecursionError) else str(error) or type(error).__name__
        raise UsageError("The JSON schema cannot be used.", why, "Check it against json-schema.org.") from error
    # Many models' last token is "}}" with a line break: without room for that they would write something else.
    grammar = re.sub(r"^root ::= (.*)$", r'root ::= (\1) "\\n"?', grammar, flags=re.MULTILINE)
    return grammar.replace(_LOOSE_CHARACTER, _STRICT_CHARACTER)


def _converted(converter: Any, schema: dict[str, Any]) -> str:
    """As the converter's own function does it, with its faults mended."""

    class Converter(converter.SchemaConverter):  # type: ignore[misc]  # its base is untyped
        def _format_literal(self, text: str) -> str:
            return literal(text)  # its own leaves backslashes as they are

        def _generate_constant_rule(self, value: Any) -> str:
            return literal(json.dumps(value, ensure_ascii=False))

        def _visit_pattern(self, pattern: str, name: str) -> str:
            added: str = self._add_rule(name, f"{to_rule(pattern)} space")
            return added

    if "$ref" in schema:
        # It does not look for definitions beside a reference; so that stands alone, one level down.
        schema["anyOf"] = [{"$ref": schema.pop("$ref")}]
    made = Converter(prop_order={}, allow_fetch=False, dotall=False, raw_pattern=False)
    made.visit(made.resolve_refs(schema, "stdin"), "")
    grammar: str = made.format_grammar()
    return grammar


def _check(schema: Any, place: str, depth: int = 0) -> None:
    """Follow the converter's own branches: a keyword that the chosen branch does not read is refused."""
    if depth > _DEEPEST:  # a bound of our own: how deep Python itself goes is set by whoever runs it
        raise RecursionError
    if not isinstance(schema, dict):
        raise UsageError(f"The JSON schema is wrong at {place}.", "A schema is an object here, not true or false.", "")
    known = _known(schema, place)
    extra = sorted(set(schema) - known - _ANNOTATIONS)
    if extra:
        raise UnsupportedFeature(
            f"The JSON schema's {extra[0]!r} at {place} cannot be enforced.",
            f"llama.cpp's grammars do not express it{f' beside {min(known)!r}' if known else ''}.",
            "Leave it out and check the answer yourself.",
        )
    _check_possible(schema, place)
    for name in ("$defs", "definitions", "properties"):
        for key, inner in _mapping(schema, name, place).items():
            _check(inner, f"{place}/{name}/{key}", depth + 1)
    for name in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for number, inner in enumerate(schema.get(name, ())):
            _check(inner, f"{place}/{name}/{number}", depth + 1)
    for name in ("items", "additionalProperties"):
        inner = schema.get(name)
        if isinstance(inner, list):
            for number, item in enumerate(inner):
                _check(item, f"{place}/{name}/{number}", depth + 1)
        elif inner is not None and not isinstance(inner, bool):
            _check(inner, f"{place}/{name}", depth + 1)


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
                f"The JSON schema requires {min(missing)!r} at {place}, but does not describe it.",
                "llama.cpp's grammars express required properties only with a schema of their own.",
                "Add it to properties.",
            )
        return {"type", "additionalProperties"} | _OBJECT
    if kind in (None, "object") and "allOf" in schema:
        if all(set(part) <= {"type", "$ref"} | _OBJECT | _ANNOTATIONS for part in schema["allOf"]):
            return {"type", "allOf"}
        raise UnsupportedFeature(f"The JSON schema's 'allOf' at {place} cannot be enforced.", "", "Merge its parts.")
    if kind in (None, "array") and ("items" in schema or "prefixItems" in schema):
        tuples = "prefixItems" in schema or isinstance(schema.get("items"), list)
        return {"type"} | _ARRAY | (set() if tuples else _COUNTS)
    if kind in (None, "string") and "pattern" in schema:
        return {"type", "pattern"}
    if kind == "string":
        return {"type"} | (_STRING if not schema.get("format") else set())
    return {"type", "additionalProperties"} if kind == "object" else {"type"}


def _check_possible(schema: dict[str, Any], place: str) -> None:
    """Refuse what admits no text, or that the converter mistakes for something else."""
    for least, most in (("minItems", "maxItems"), ("minLength", "maxLength")):
        if schema.get(most) is not None and schema.get(least, 0) > schema[most]:
            raise UsageError(f"The JSON schema allows nothing at {place}.", f"{least} is greater than {most}.", "")
    for name in ("enum", "anyOf", "oneOf"):
        if schema.get(name) == []:
            raise UsageError(f"The JSON schema allows nothing at {place}.", f"{name} is empty.", "")
    if "" in _mapping(schema, "properties", place):
        raise UnsupportedFeature(f"The JSON schema has a property without a name at {place}.", "", "Give it a name.")
    kind = schema.get("type")
    if isinstance(kind, str) and ("enum" in schema or "const" in schema):
        wrong = [value for value in schema.get("enum", [schema.get("const")]) if not _is_of(value, kind)]
        if wrong:
            raise UsageError(
                f"The JSON schema contradicts itself at {place}.", f"{json.dumps(wrong[0])} is not of type {kind}.", ""
            )


def _is_of(value: Any, kind: str) -> bool:
    if isinstance(value, bool) or value is None:
        return kind == ("null" if value is None else "boolean")
    if kind == "integer":
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return isinstance(value, _TYPES.get(kind, ()))


def _mapping(schema: dict[str, Any], name: str, place: str) -> dict[str, Any]:
    found = schema.get(name, {})
    if not isinstance(found, dict):
        raise UsageError(f"The JSON schema is wrong at {place}/{name}.", "It should be an object.", "")
    return found
