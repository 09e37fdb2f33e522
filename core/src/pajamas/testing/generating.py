"""What a session's stream of an answer must be."""

from __future__ import annotations

from pajamas.testing.group import Group


class Generating(Group):
    """Generation."""
