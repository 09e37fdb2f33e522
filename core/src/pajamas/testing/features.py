"""Whether each feature is there when it is declared, and refused when it is not."""

from __future__ import annotations

from pajamas.testing.group import Group


class Features(Group):
    """Declared and undeclared features."""
