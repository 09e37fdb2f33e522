"""What an error says, on a command line and in a program."""

from __future__ import annotations

import pytest

from pajamas.errors import TargetExists, UsageError


def test_the_text_names_options_as_arguments_too():
    error = TargetExists("x is there already.", "Nothing is replaced unasked.", "Use --force, or another --output.")

    assert error.fix == "Use --force, or another --output."
    assert str(error).splitlines() == [
        "x is there already.",
        "Nothing is replaced unasked.",
        "Use --force, or another --output.",
        "In a program: force=True, output=...",
    ]


@pytest.mark.parametrize(
    "fix",
    ["Check the path.", "pajamas convert --model x --precision q8_0", "pip install --force-reinstall x", "a--b"],
)
def test_a_text_without_options_stays_as_it_is(fix):
    assert str(UsageError("No.", "", fix)) == f"No.\n{fix}"


def test_options_that_have_other_names_in_a_program():
    error = UsageError("--tensor-type has no effect.", "", "Use --context 4096, or leave --tensor-type out.")

    assert str(error).splitlines()[-1] == "In a program: tensor_types=..., context_length=..."
