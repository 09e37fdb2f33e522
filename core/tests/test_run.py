"""`run()`: every operation, typed, and arguments that are checked by name."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
import tempfile
import textwrap
import typing
from pathlib import Path

import pytest
from attrs import fields_dict

from pajamas import core, keywords
from pajamas.errors import ModelNotFound, UsageError
from pajamas.plugins import PluginHost
from pajamas.types import GenerateRequest, LoadOptions, Sampling

# Kept: what mypy finds out of the libraries is the same each time.
MYPY_CACHE = str(Path(tempfile.gettempdir()) / "pajamas-tests-mypy")
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


@pytest.fixture
def host():
    """Without those that would say what they made of it, in processes of their own."""
    return PluginHost(disabled=frozenset({"gguf", "mlx"}))


def test_info_through_run(host):
    assert core.run("info", model="tiny", host=host).architecture.parameters == 4_197_120


def test_a_path_may_be_a_path_object(host):
    from pajamas_tiny.hooks import MODEL

    assert core.run("info", model=MODEL, host=host).architecture.parameters == 4_197_120
    assert core.run("pull", model=MODEL).path == MODEL


def test_what_type_checkers_are_told_is_what_the_records_hold():
    request = set(fields_dict(GenerateRequest)) - {"prompt", "sampling"} | set(fields_dict(Sampling))

    assert set(keywords.LoadKeywords.__annotations__) == set(fields_dict(LoadOptions))
    assert set(keywords.RequestKeywords.__annotations__) == request


@pytest.mark.parametrize("options", [{"zz": 1}, {"temperature": -1}, {"context_lenght": 3}, {"stop": [""]}])
def test_a_wrong_option_is_refused_before_a_model_is_looked_for(options):
    with pytest.raises(UsageError):
        core.run("generate", model="Nobody/Nothing", prompt="?", **options)


def test_the_nearest_of_all_options_is_offered():
    with pytest.raises(UsageError, match="context_length"):
        core.run("generate", model="Nobody/Nothing", prompt="?", context_lenght=3)


@pytest.mark.parametrize("request_", [{"texts": "one text"}, {"texts": [1]}, {"texts": ["a"], "embeddings": False}])
def test_what_cannot_be_embedded_is_refused_before_a_model_is_looked_for(request_):
    with pytest.raises(UsageError, match="embed"):
        core.run("embed", model="Nobody/Nothing", **request_)


@pytest.mark.parametrize(("operation", "options"), [("info", {}), ("pull", {}), ("convert", {"formats": "echo"})])
def test_a_path_that_is_not_there_is_not_asked_of_the_hub(operation, options, tmp_path):
    with pytest.raises(ModelNotFound, match="no file or folder"):
        core.run(operation, model=tmp_path / "Org/Name", **options)


def test_verify_takes_a_host_like_every_operation(tmp_path):
    with pytest.raises(ModelNotFound):
        core.run("verify", path=tmp_path / "nothing", host=PluginHost())


def test_a_type_checker_finds_a_misspelt_option_and_a_wrong_value(tmp_path):
    right = """
        import pajamas
        pajamas.run("generate", prompt="?", context_length=5, top_k=3, stop="x").text
        with pajamas.Runtime("m", threads=1, needs=[pajamas.Feature.SEED]) as model:
            model.generate("?", max_tokens=5, messages=[{"role": "user"}])
            model.embed(["a"]).shape
        pajamas.run("convert", formats="gguf,mlx", tensor_types=[("a", "Q6_K")], threads=1)
    """
    (tmp_path / "right.py").write_text(textwrap.dedent(right))
    wrong = """
        import pajamas
        pajamas.run("generate", prompt="?", temprature=1)
        pajamas.run("load", path="m", threads="many")
        pajamas.Runtime("m", context=5).generate("?", maxtokens=5)
        pajamas.run("convert", options={})
    """
    (tmp_path / "wrong.py").write_text(textwrap.dedent(wrong))
    files = [str(tmp_path / "right.py"), str(tmp_path / "wrong.py")]
    setup = ["--config-file", "", "--follow-imports", "silent", "--cache-dir", MYPY_CACHE]

    # In a process of its own: mypy raises the interpreter's recursion limit and leaves it so.
    done = subprocess.run([sys.executable, "-m", "mypy", *setup, *files], capture_output=True, text=True, check=False)
    report = done.stdout

    assert not done.stderr
    assert "right.py" not in report
    assert sorted({line.split(":")[1] for line in report.splitlines() if "wrong.py" in line and "error" in line}) == [
        "3", "4", "5", "6",
    ]  # fmt: skip


def test_a_device_and_a_backend_that_contradict_each_other():
    with pytest.raises(UsageError, match="contradict"):
        core.run("generate", model="Nobody/Nothing", prompt="?", backend="cpu", device="cuda")
