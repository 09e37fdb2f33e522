"""The conformance kit: what every backend must do, as tests that a backend's own tests inherit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pajamas.testing.conformance import BackendConformance

__all__ = ["BackendConformance"]


def __getattr__(name: str) -> Any:
    # Lazy: pytest imports this package for its plugin in every run, before assertions can be rewritten.
    if name == "BackendConformance":
        from pajamas.testing.conformance import BackendConformance

        return BackendConformance
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
