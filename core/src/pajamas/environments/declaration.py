"""What a backend says of an environment of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping

from attrs import field, frozen

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@frozen(kw_only=True)
class Environment:
    """A Python environment of its own, for a library whose pins clash with those of others.

    `pajamas env create` makes it by venv and pip. It names no package index: pip's own settings decide.
    """

    name: str
    """What follows `pajamas env create`: small letters, digits and hyphens."""
    module: str
    """The library's top-level module: it is looked for here, and imported there to tell whether it works."""
    variants: Mapping[str, tuple[str, ...]]
    """Device word ("cuda", "cpu") to what pip installs for it, the best device first. The first requirement is the
    library's own distribution."""
    unwanted: Mapping[str, tuple[str, ...]] = field(factory=dict)
    """Device word to distributions that are uninstalled again: dependencies that have no build for that device."""
    holds_pajamas: bool = True
    """Whether pajamas and the plugin go into it too, as sessions need. A program that is handed over by its path does
    without, and is free of what pajamas requires."""

    @property
    def modules(self) -> tuple[str, ...]:
        """What can be imported from it once it is whole."""
        return (self.module, "pajamas.worker.server") if self.holds_pajamas else (self.module,)

    def fault(self) -> str | None:
        """What is wrong with it, as the end of a sentence; None if nothing is."""
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            return f"has the name {self.name!r:.100}, which is not made of small letters, digits and hyphens"
        if not self.variants or not all(self.variants.values()):
            return f"{self.name!r} has no variant, or one without a requirement"
        return None
