"""What a backend's distribution and hooks must be before anything of it runs."""

from __future__ import annotations

from pajamas.testing.group import Group


class Static(Group):
    """The plugin itself: its metadata, its hooks and what importing them costs."""
