"""What a backend's artifacts must be."""

from __future__ import annotations

from pajamas.testing.group import Group


class Quantizing(Group):
    """Quantization."""
