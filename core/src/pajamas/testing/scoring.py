"""What a session's log-probabilities must be."""

from __future__ import annotations

from pajamas.testing.group import Group


class Scoring(Group):
    """Scores."""
