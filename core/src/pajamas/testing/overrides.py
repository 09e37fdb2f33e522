"""What a test class may change of the kit: its attributes, two fixtures, and a test only with `xfail(reason=...)`.

Held against every subclass of `BackendConformance` when it is collected, outside of the class, so that no override can
switch it off.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator
from typing import Any

import pytest

from pajamas.testing.conformance import EXTENDABLE, TESTS, BackendConformance
from pajamas.testing.group import Group

ATTRIBUTES = tuple(Group.__annotations__)
_FREE = ("__module__", "__qualname__", "__doc__", "__annotations__", "__firstlineno__", "__static_attributes__",
         "__dict__", "__weakref__", "__test__", "__parameters__", "__annotate__", "__annotate_func__",
         "__annotations_cache__", "__orig_bases__", "pytestmark")  # fmt: skip
_HOW = "Take the override away, or mark it with @pytest.mark.xfail(reason='...'), which the summary then shows."


def problems(cls: type[BackendConformance]) -> list[str]:
    """What is wrong with the class `cls`: empty if its results will mean something."""
    found = [
        f"The kit's own {name} was changed or deleted from outside. How to mend it: Leave pajamas.testing as it is."
        for name, function in TESTS.items()
        if inspect.getattr_static(BackendConformance, name, None) is not function
    ]
    if not isinstance(cls.backend, str) or not cls.backend:
        found.append(f"{cls.__name__} sets no backend. How to mend it: backend = 'NAME', as the entry point is called.")
    if any(mark.name == "xfail" for mark in _marks(cls)):
        found.append(
            f"{cls.__name__} is marked xfail as a whole, which would excuse every rule. "
            "How to mend it: Override the one test that cannot pass, and mark that."
        )
    for owner in _own_classes(cls):
        for name, value in vars(owner).items():
            found += _problem(owner, name, value)
    return found


def restore_rules(cls: type[BackendConformance]) -> None:
    """Put the kit's own tests where `cls` overrides them, with the override's marks: an excuse is not another test."""
    for name, function in TESTS.items():
        override = getattr(cls, name)
        if override is not function:
            rule = types.FunctionType(
                function.__code__, function.__globals__, name, function.__defaults__, function.__closure__
            )
            rule.__kwdefaults__, rule.__doc__ = function.__kwdefaults__, function.__doc__
            rule.__annotations__, rule.__module__ = function.__annotations__, function.__module__
            marks = [mark for mark in _marks(override) if mark.name == "xfail"]
            rule.pytestmark = [*_marks(function), *marks]  # type: ignore[attr-defined]  # how pytest stores marks
            setattr(cls, name, rule)


def _problem(owner: type, name: str, value: object) -> Iterator[str]:
    where = f"{owner.__name__}.{name}"
    if name in TESTS:
        marks = _marks(value) if callable(value) else []
        excused = any(mark.name == "xfail" and mark.kwargs.get("reason") for mark in marks)
        if not excused:
            yield f"{where} overrides a test of the kit without xfail(reason=...). How to mend it: {_HOW}"
        elif any(mark.name in ("skip", "skipif") for mark in marks):
            yield f"{where} is skipped. How to mend it: xfail(run=False, reason=...) keeps a test from running."
    elif name.startswith("test") or name in ATTRIBUTES or name in EXTENDABLE or name in _FREE:
        return
    elif hasattr(BackendConformance, name):
        yield (
            f"{where} overrides a part of the kit. How to mend it: Of fixtures only {' and '.join(EXTENDABLE)} may be "
            f"extended, of attributes only {', '.join(ATTRIBUTES)} set; give yours another name."
        )


def _own_classes(cls: type) -> list[type]:
    return [owner for owner in cls.__mro__ if owner not in BackendConformance.__mro__]


def _marks(holder: Any) -> list[pytest.Mark]:
    marks: list[Any] = getattr(holder, "pytestmark", [])
    return [getattr(mark, "mark", mark) for mark in (marks if isinstance(marks, list) else [marks])]
