"""A validation as a person reads it, and as the shell does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pajamas.cli import output

if TYPE_CHECKING:
    from pajamas.operations.validating import ValidationResult

_EXIT_CODES = {"fail": 5, "unresolved": 6}
_WIDTH = 23


def exit_code(result: ValidationResult) -> int:
    """What the shell is told: 0, or 5 for a failed threshold, or 6 where the sample cannot tell."""
    return _EXIT_CODES.get(result.status, 0)


def show_findings(result: ValidationResult, *, indent: int = 0) -> None:
    """The block of figures; what it was measured on goes to standard error."""
    for note in result.notes:
        output.say_field("", note, indent=indent, err=True)
    for label, text in result.lines:
        output.say_field(label, text, width=_WIDTH, indent=indent)
    for path in result.reports:
        output.say_field("Report:", str(path), width=_WIDTH, indent=indent)
