"""`run()`: every operation, typed, and arguments that are checked by name."""

from __future__ import annotations

import importlib
import inspect
import typing

import pytest
from attrs import fields_dict

from pajamas import core, keywords
from pajamas.errors import UsageError
from pajamas.types import GenerateRequest, LoadOptions, Sampling

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


def test_a_path_may_be_a_path_object():
    from pajamas_tiny.hooks import MODEL

    assert core.run("info", model=MODEL).architecture.parameters == 4_197_120
    assert core.run("pull", model=MODEL).path == MODEL


def test_what_type_checkers_are_told_is_what_the_records_hold():
    request = set(fields_dict(GenerateRequest)) - {"prompt", "sampling"} | set(fields_dict(Sampling))

    assert set(keywords.LoadKeywords.__annotations__) == set(fields_dict(LoadOptions))
    assert set(keywords.RequestKeywords.__annotations__) == request


@pytest.mark.parametrize("options", [{"zz": 1}, {"temperature": -1}, {"context_lenght": 3}, {"stop": [""]}])
def test_a_wrong_option_is_refused_before_a_model_is_looked_for(options):
    with pytest.raises(UsageError):
        core.run("generate", model="Nobody/Nothing", prompt="?", **options)


def test_a_device_and_a_backend_that_contradict_each_other():
    with pytest.raises(UsageError, match="contradict"):
        core.run("generate", model="Nobody/Nothing", prompt="?", backend="cpu", device="cuda")
