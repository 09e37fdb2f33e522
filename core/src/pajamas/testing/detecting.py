"""What a backend may make of files that are not its own, or are damaged."""

from __future__ import annotations

from pajamas.testing.group import Group


class Detecting(Group):
    """Foreign and damaged files."""
