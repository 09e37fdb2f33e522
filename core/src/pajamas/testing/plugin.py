"""The kit's pytest plugin: loaded in every pytest run of an environment that holds pajamas, so it imports only pytest."""

from __future__ import annotations

import pytest

GROUPS = (
    "static", "honesty", "detecting", "quantizing", "generating", "scoring", "features", "errors_group", "workers",
)  # fmt: skip

pytest.register_assert_rewrite(*(f"pajamas.testing.{name}" for name in ("group", "conformance", *GROUPS)))
