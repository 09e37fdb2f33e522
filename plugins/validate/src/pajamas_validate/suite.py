"""Behaviour suites: prompts of a normal day and what a good answer to each has, as TOML files that anybody can extend.

A suite is `name = "..."` and a list of `[[cases]]`. A case has an `id` and a `prompt`; everything else is optional:

- `mode` ("thinking" or "non-thinking"), `system`, `max_tokens` (256);
- `expect`: a regular expression that the answer must contain; flags lead it, as in `(?i)paris`;
- `language`: the ISO 639-1 code of the language to answer in;
- `json_schema`: JSON text; the answer is constrained to it, and then checked;
- `tools`: JSON text, a list of OpenAI tool definitions; `call`: the tool that must be called; `arguments`: a regular
  expression over the call's arguments;
- `ends = false`: the answer need not come to its end within `max_tokens`.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from attrs import fields_dict, frozen

from pajamas.errors import ModelNotFound, UsageError

OWN_SUITE = "suite.toml"
"""A model's own suite, beside its config.json; it takes the place of the general one."""
GENERAL = "everyday"
_MAX_BYTES = 4 << 20


@frozen(kw_only=True)
class Case:
    """One prompt, and what is expected of its answer."""

    id: str
    prompt: str
    mode: str | None = None
    system: str | None = None
    max_tokens: int = 256
    expect: str | None = None
    language: str | None = None
    json_schema: Mapping[str, Any] | None = None
    tools: tuple[Mapping[str, Any], ...] = ()
    call: str | None = None
    arguments: str | None = None
    ends: bool = True


@frozen(kw_only=True)
class Suite:
    name: str
    cases: tuple[Case, ...]

    @property
    def languages(self) -> tuple[str, ...]:
        return tuple(sorted({case.language for case in self.cases if case.language}))


_TYPES: dict[str, type | tuple[type, ...]] = {"max_tokens": int, "ends": bool}
"""Of a case's keys in the file; all others are strings."""


def suite_of(model: Path | None) -> Suite:
    """The suite for a model: its own, where `model` is a folder that has one, else the general one."""
    own = model / OWN_SUITE if model is not None and model.is_dir() else None
    return read_suite(own) if own is not None and own.is_file() else built_in(GENERAL)


def named_suite(name: str) -> Suite:
    """The suite in a .toml file, or the one of that name that comes with pajamas.

    Raises:
        UsageError, ModelNotFound: as `read_suite` and `built_in`.
    """
    file = Path(name).expanduser()
    return read_suite(file) if file.suffix == ".toml" else built_in(name)


def built_in(name: str) -> Suite:
    """A suite that comes with pajamas.

    Raises:
        ModelNotFound: there is none of that name.
    """
    file = resources.files("pajamas_validate") / "suites" / f"{name}.toml"
    if not file.is_file():
        raise ModelNotFound(f"There is no suite {name!r}.", f"The general one is {GENERAL!r}.", "Name a .toml file.")
    return parse_suite(file.read_text(encoding="utf-8"), f"the suite {name}")


def read_suite(path: Path) -> Suite:
    """The suite in a file.

    Raises:
        UsageError: it cannot be read, is no TOML or no suite; the message names the case and the key.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise UsageError(f"{path} is too large for a suite.", f"It has more than {_MAX_BYTES:,} bytes.", "")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The suite {path} cannot be read.", str(error), "Name a TOML file.") from error
    return parse_suite(text, str(path))


def parse_suite(text: str, origin: str) -> Suite:
    """As `read_suite`, of a text; `origin` is for messages."""
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{origin} is not TOML.", str(error), "") from error
    cases = table.get("cases")
    if not isinstance(table.get("name"), str) or not isinstance(cases, list) or not cases:
        raise UsageError(f"{origin} is no suite.", "A suite has a name and a list of [[cases]].", "")
    if extra := sorted(set(table) - {"name", "cases"}):
        raise UsageError(f"{origin} has an unknown key {extra[0]!r}.", "A suite has name and cases.", "")
    parsed = tuple(_case(case, f"{origin}, case {number}") for number, case in enumerate(cases, 1))
    ids = [case.id for case in parsed]
    if twice := sorted({one for one in ids if ids.count(one) > 1}):
        raise UsageError(f"{origin} has two cases {twice[0]!r}.", "An id names one case.", "Rename one.")
    return Suite(name=table["name"], cases=parsed)


def _case(table: Any, place: str) -> Case:
    if not isinstance(table, dict):
        raise UsageError(f"{place} is no table.", "A case is a [[cases]] table.", "")
    known = fields_dict(Case)
    if extra := sorted(set(table) - set(known)):
        raise UsageError(f"{place} has an unknown key {extra[0]!r}.", f"A case has: {', '.join(known)}.", "")
    if missing := {"id", "prompt"} - set(table):
        raise UsageError(f"{place} has no {min(missing)}.", "A case has an id and a prompt.", "")
    for key, value in table.items():
        wanted = _TYPES.get(key, str)
        if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
            raise UsageError(f"{place}: {key} cannot be {value!r}.", "See the suite's documentation.", "")
    values = dict(table)
    if values.get("mode") not in (None, "thinking", "non-thinking"):
        raise UsageError(f"{place}: there is no mode {values['mode']!r}.", "Modes: thinking, non-thinking.", "")
    if values.get("max_tokens", 1) < 1:
        raise UsageError(f"{place}: max_tokens must be at least 1.", "", "")
    for key in ("expect", "arguments"):
        _check_pattern(values.get(key), f"{place}: {key}")
    if "json_schema" in values:
        values["json_schema"] = _json(values["json_schema"], dict, f"{place}: json_schema")
    if "tools" in values:
        values["tools"] = tuple(_json(values["tools"], list, f"{place}: tools"))
    if not values.get("tools") and ("call" in values or "arguments" in values):
        raise UsageError(f"{place} expects a call but offers no tools.", "", "Add tools.")
    return Case(**values)


def _check_pattern(pattern: str | None, place: str) -> None:
    try:
        re.compile(pattern or "")
    except re.error as error:
        raise UsageError(f"{place} is no regular expression.", str(error), "") from error


def _json(text: str, kind: type, place: str) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{place} is not JSON.", str(error), "") from error
    if not isinstance(value, kind):
        raise UsageError(f"{place} is a JSON {type(value).__name__}.", f"It should be a {kind.__name__}.", "")
    return value
