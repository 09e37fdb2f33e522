"""Whether a backend is what it says it is."""

from __future__ import annotations

from pajamas.testing.group import Group


class Honesty(Group):
    """The record that `describe` returns."""
