"""Keyword arguments of the library's face into the records that hooks take; nothing unknown or ill-typed passes."""

from __future__ import annotations

import difflib
import math
import numbers
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from attrs import Attribute, fields

from pajamas.errors import UsageError
from pajamas.types import GenerateRequest, LoadOptions, Mode, Sampling

_LOAD = {field.name: field for field in fields(LoadOptions)}
_SAMPLING = {field.name: field for field in fields(Sampling)}
_REQUEST = {field.name: field for field in fields(GenerateRequest) if field.name != "sampling"}


def load_options(options: Mapping[str, Any]) -> LoadOptions:
    """Raises UsageError for an option that `LoadOptions` lacks, or a value of the wrong type."""
    return LoadOptions(**{name: _checked(name, value, _LOAD) for name, value in options.items()})


def generate_request(options: Mapping[str, Any]) -> GenerateRequest:
    """A request from its own fields and those of `Sampling`, side by side.

    `stop` may be one text; lists may stand for tuples.

    Raises:
        UsageError: for an option that neither record has, or a value of the wrong type. What the values mean is
            checked later, by `operations.generation.check_request`.
    """
    known = _REQUEST | _SAMPLING
    values = dict(options)
    if isinstance(values.get("stop"), str):
        values["stop"] = (values["stop"],)
    values = {name: _checked(name, value, known) for name, value in values.items()}
    sampling = Sampling(**{name: values.pop(name) for name in list(values) if name in _SAMPLING})
    return GenerateRequest(sampling=sampling, **values)


def _checked(name: str, value: Any, known: Mapping[str, Attribute[Any]]) -> Any:
    if name not in known:
        near = difflib.get_close_matches(name, known)
        hint = f"Did you mean: {', '.join(near)}?" if near else f"Options: {', '.join(known)}."
        raise UsageError(f"There is no option {name!r}.", "An option is honoured or refused, never ignored.", hint)
    declared = str(known[name].type)  # annotations are texts: the module postpones them
    kind = declared.removesuffix(" | None")
    if value is None and kind != declared:
        return None
    wanted = _mismatch(kind, value)
    if wanted:
        raise UsageError(f"The option {name!r} cannot be {value!r}.", f"It must be {wanted}.", "")
    return tuple(value) if kind.startswith("tuple[") else value


def _mismatch(kind: str, value: Any) -> str:
    """What a value for the annotation `kind` must be, if `value` is not; empty if it is."""
    number = not isinstance(value, bool)
    sequence = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    tests = {
        "int": (number and isinstance(value, numbers.Integral), "a whole number"),
        "float": (number and isinstance(value, numbers.Real) and not math.isnan(value), "a number"),
        "bool": (isinstance(value, bool), "True or False"),
        "str": (isinstance(value, str), "a text"),
        "Mode": (value in get_args(Mode) if isinstance(value, str) else False, " or ".join(get_args(Mode))),
        "tuple[int, ...]": (
            sequence and all(isinstance(part, numbers.Integral) for part in value),
            "a list of numbers",
        ),
        "tuple[str, ...]": (sequence and all(isinstance(part, str) for part in value), "a list of texts"),
    }
    if kind.startswith("tuple[M"):  # messages and tools
        fits, wanted = sequence and all(isinstance(part, Mapping) for part in value), "a list of mappings"
    elif kind.startswith("Mapping["):
        fits, wanted = isinstance(value, Mapping), "a mapping"
    else:
        fits, wanted = tests[kind]
    return "" if fits else wanted
