"""One line of `doctor`."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

State = Literal["ok", "note", "problem"]


@frozen(kw_only=True)
class Diagnosis:
    subject: str
    state: State
    finding: str
    fix: str = ""
