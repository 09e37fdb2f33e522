"""Which errors a backend may raise."""

from __future__ import annotations

from pajamas.testing.group import Group


class Errors(Group):
    """Only errors of pajamas' own tree, with what to do about them."""
