"""The floor of two engines: how far apart the same weights lie in float32, measured once on the bundled model.

No two engines add in the same order, so equal weights never give equal values. What is measured on a small model whose
conversions are known to be right is rounding and nothing else; a fault lies well above it.

`floors.json` holds what the operation itself finds in float32 for the bundled model over all windows of its text:
`run("equivalence", models=[F16 GGUF, BF16 GGUF, the model's own folder], windows=None, prompts=0)`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources

from attrs import frozen

from pajamas_validate.equivalence.candidate import Candidate

SMALLEST_FAULT = 1e-3
"""Mean KL divergence, in nats, below which no difference is called a fault: what 16-bit rounding makes at most."""
TIMES = 3.0
"""How many times the floor a fault lies above, where that is more."""


@frozen(kw_only=True)
class Floor:
    """The floor of one pair of backends."""

    backends: tuple[str, str]
    """In alphabetical order."""
    versions: Mapping[str, str]
    """Of each backend's engine, when it was measured."""
    mean_kld: float
    """Nats: of both ways, and of the windows and each depth, the largest."""
    largest_kld: float
    """At one position."""
    rows: int
    """Scored positions."""
    model: str
    date: str

    @property
    def origin(self) -> str:
        engines = " and ".join(f"{name} {version}" for name, version in self.versions.items())
        return f"{self.mean_kld:.1g} measured on the model {self.model}, {self.date}, {engines}"


def known_floors() -> tuple[Floor, ...]:
    """Those that come with this plugin."""
    found = json.loads(resources.files(__package__).joinpath("floors.json").read_text(encoding="utf-8"))
    return tuple(Floor(**{**entry, "backends": tuple(entry["backends"])}) for entry in found)


def find_floor(first: Candidate, second: Candidate) -> Floor | None:
    """The floor of the two candidates' backends; None where it was never measured."""
    pair = tuple(sorted((first.backend, second.backend)))
    return next((floor for floor in known_floors() if floor.backends == pair), None)


def limit(floor: Floor | None) -> float:
    """Mean KL divergence in nats above which two models in float32 are not the same."""
    return max(SMALLEST_FAULT, TIMES * floor.mean_kld) if floor else SMALLEST_FAULT


def other_versions(floor: Floor, candidates: tuple[Candidate, Candidate]) -> tuple[str, ...]:
    """Engines that are here in another version than the floor was measured with."""
    return tuple(
        dict.fromkeys(
            f"{candidate.backend} {candidate.engine_version}"
            for candidate in candidates
            if candidate.engine_version != floor.versions.get(candidate.backend)
        )
    )
