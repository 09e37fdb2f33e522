"""`run()`: every operation, typed, and arguments that are checked by name."""

from __future__ import annotations

import importlib
import inspect
import typing

import pytest

from pajamas import core
from pajamas.errors import UsageError

OVERLOADS = {
    typing.get_args(eval(signature.parameters["operation"].annotation, vars(typing)))[0]: signature
    for signature in map(inspect.signature, typing.get_overloads(core.run))
}


def test_every_operation_has_a_typed_signature():
    assert sorted(OVERLOADS) == sorted(core.OPERATIONS)


@pytest.mark.parametrize("operation", sorted(core.OPERATIONS))
def test_the_typed_signature_names_the_arguments_of_the_function(operation):
    module, _, name = core.OPERATIONS[operation].partition(":")
    actual = inspect.signature(getattr(importlib.import_module(module), name))

    typed = [name for name in OVERLOADS[operation].parameters if name != "operation"]

    assert sorted(typed) == sorted(actual.parameters)


def test_an_unknown_operation_lists_those_there_are():
    with pytest.raises(UsageError) as caught:
        core.run("transmogrify")

    assert "convert" in caught.value.why


def test_an_unknown_argument_is_refused_with_the_nearest():
    with pytest.raises(UsageError) as caught:
        core.run("pull", modle="tiny")

    assert "'modle'" in caught.value.what
    assert "model" in caught.value.why


def test_a_missing_argument_is_named():
    with pytest.raises(UsageError, match="path"):
        core.run("verify")


def test_info_through_run():
    assert core.run("info", model="tiny").architecture.parameters == 4_197_120
