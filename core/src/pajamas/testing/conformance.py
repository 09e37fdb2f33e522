"""The conformance kit's one class, composed of its groups."""

from __future__ import annotations

from pajamas.testing.detecting import Detecting
from pajamas.testing.errors_group import Errors
from pajamas.testing.features import Features
from pajamas.testing.generating import Generating
from pajamas.testing.honesty import Honesty
from pajamas.testing.quantizing import Quantizing
from pajamas.testing.scoring import Scoring
from pajamas.testing.static import Static
from pajamas.testing.workers import Workers


class BackendConformance(
    Static, Honesty, Detecting, Quantizing, Generating, Scoring, Features, Errors, Workers
):  # fmt: skip
    """Every rule of the contract, as tests that a backend's own test class inherits."""
