"""One recorded value against what is there now."""

from __future__ import annotations

from attrs import frozen


@frozen(kw_only=True)
class Check:
    artifact: str
    """The receipt's path."""
    what: str
    """Which value."""
    expected: str
    """As recorded."""
    found: str
    """As it is now."""
    within: bool | None = None
    """For figures that are measured: whether they agree as far as measuring again can."""

    @property
    def ok(self) -> bool:
        return self.expected == self.found if self.within is None else self.within
