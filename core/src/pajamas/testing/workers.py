"""A backend's session in a process of its own."""

from __future__ import annotations

from pajamas.testing.group import Group


class Workers(Group):
    """The same answers from a worker process."""
