"""What every group of the kit's tests shares: the attributes that a subclass sets, and how a broken rule is told."""

from __future__ import annotations

from typing import ClassVar

import pytest

from pajamas.types import LoadOptions

DEVICES = ("cuda", "metal", "cpu")
"""The words for devices."""

UNDECLARED = "not declared, and refused: there is nothing to show"
"""The reason of a skip where a feature is not declared."""
UNPROVEN = "not proven, the engine cannot run here"
"""How the reason of a skip begins that leaves the backend unproven."""


class Group:
    """Attributes of a conformance test. A subclass sets `backend`, and whatever else differs from these defaults."""

    backend: ClassVar[str] = ""
    """The entry point's name in the group `pajamas.backends`."""
    model: ClassVar[str] = "tiny"
    """What is converted, or loaded as it is: an alias, a folder, a file or a Hub id."""
    scheme: ClassVar[str | None] = None
    """What the model is quantized to; None is the first scheme that `describe` declares."""
    artifact_format: ClassVar[str | None] = None
    """The format of the artifact; None is the first one that `describe` declares."""
    engine_modules: ClassVar[tuple[str, ...]] = ()
    """Import names of the engine. `hooks` may not import them, and the missing-engine test hides them."""
    load_options: ClassVar[LoadOptions] = LoadOptions()
    """How the tests load the artifact."""
    prompt: ClassVar[str] = "Once upon a time there was a little duck named Tom. Tom lived near the beach. One day Tom"
    """What the model goes on from, as it is (no chat template), at temperature 0: with a dozen tokens or more."""


def require(condition: object, seen: str, mend: str) -> None:
    """Fail the running test unless `condition` holds; the plugin adds the rule, from the test's docstring.

    Args:
        seen: what the backend did, with the values.
        mend: what its author can do about it.
    """
    __tracebackhide__ = True
    if not condition:
        pytest.fail(f"{seen}\nHow to mend it: {mend}")
