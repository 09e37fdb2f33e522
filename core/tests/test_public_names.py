"""`import pajamas` is light, and what it offers is there."""

from __future__ import annotations

import subprocess
import sys

import attrs
import pytest

import pajamas
from pajamas import errors, types


def loaded_by(code):
    code = f"import sys\n{code}\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_imports_nothing_else():
    heavy = {"pluggy", "attrs", "attr", "cattrs", "click", "numpy", "llama_cpp", "huggingface_hub", "jinja2", "rich"}

    assert not heavy & loaded_by("import pajamas")


def test_an_error_class_needs_no_more_than_itself():
    assert not {"pluggy", "attrs", "click", "numpy"} & loaded_by("from pajamas import EngineError")


def test_every_public_name_is_there():
    for name in pajamas.__all__:
        assert getattr(pajamas, name) is not None
    assert sorted(pajamas.__all__) == pajamas.__all__ == dir(pajamas)


def test_every_error_and_record_is_public():
    for module in (errors, types):
        for name, kind in vars(module).items():
            own = isinstance(kind, type) and kind.__module__ == module.__name__
            if own and (issubclass(kind, Exception) or attrs.has(kind)):
                assert getattr(pajamas, name) is kind


def test_other_names_are_not_there():
    with pytest.raises(AttributeError, match="nothing"):
        _ = pajamas.nothing
    with pytest.raises(ImportError):
        from pajamas import nothing  # noqa: F401  that it fails is the test


def test_the_version_is_the_distributions():
    from importlib.metadata import version

    assert pajamas.__version__ == version("pajamas")
