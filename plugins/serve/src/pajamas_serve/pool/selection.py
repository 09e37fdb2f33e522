"""What a worker is to load: the artifact and its backend, found here or by the interpreter of another environment."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from pajamas.errors import EngineError, EngineMissing, error_class
from pajamas.types import Artifact, Feature
from pajamas.worker.protocol import from_json

if TYPE_CHECKING:
    from pajamas_serve.settings import ModelSpec, PoolSettings

_SECONDS = 600
"""A selection may download the model."""


@frozen(kw_only=True)
class Loadable:
    """What `AsyncWorker.start` takes, and what it will be able to do."""

    backend: str
    artifact: Artifact
    device: str | None
    features: frozenset[Feature]
    """Of the backend; a session may have fewer."""
    python: Path | None = None
    """The interpreter of the worker's environment; None is this one."""


def select(spec: ModelSpec, settings: PoolSettings, needs: frozenset[Feature] = frozenset()) -> Loadable:
    """Find (and download) the model, and the backend for it. Blocks.

    Raises:
        PajamasError: what `pajamas.operations.loading.select` raises.
    """
    if settings.python is None:
        return _select(str(spec.reference), settings.backend, needs)
    return _select_elsewhere(settings.python, str(spec.reference), settings.backend, needs)


def _select(reference: str, backend: str | None, needs: frozenset[Feature]) -> Loadable:
    from pajamas.operations.loading import select

    found = select(reference, backend, needs)
    choice = found.choice
    return Loadable(
        backend=choice.backend.name,
        artifact=found.artifact,
        device=choice.device,
        features=choice.info.features,
        python=choice.info.python,
    )


def _select_elsewhere(python: Path, reference: str, backend: str | None, needs: frozenset[Feature]) -> Loadable:
    """In the other environment, whose backends are not those of this one. It needs pajamas and no pajamas-serve."""
    request = json.dumps([reference, backend, sorted(needs)])
    try:
        done = subprocess.run(
            [str(python), "-P", "-c", _SCRIPT, request],
            capture_output=True, text=True, timeout=_SECONDS, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError(f"The model cannot be looked up with {python}.", str(error), "Check --python.") from error
    last = done.stdout.strip().rpartition("\n")[2]
    try:
        answer = json.loads(last)
    except ValueError:
        words = " ".join(done.stderr.split()[-60:])
        raise EngineMissing(
            f"{python} cannot look up models.", words, f"Install pajamas there: {python} -m pip install pajamas"
        ) from None
    if "error" in answer:
        raise error_class(answer["error"])(*answer["words"])
    # An engine with an environment of its own is in that, as the other environment's pajamas has found it.
    found = from_json(answer["loadable"], Loadable)
    return found if found.python is not None else evolve(found, python=python)


_SCRIPT = """
import json, sys
from pajamas.errors import PajamasError
from pajamas.operations.loading import select
from pajamas.types import Feature
from pajamas.worker.protocol import to_json
reference, backend, needs = json.loads(sys.argv[1])
try:
    found = select(reference, backend, [Feature(need) for need in needs])
    choice = found.choice
    loadable = {"backend": choice.backend.name, "artifact": to_json(found.artifact), "device": choice.device,
                "features": sorted(choice.info.features),
                "python": None if choice.info.python is None else str(choice.info.python)}
    answer = {"loadable": loadable}
except PajamasError as error:
    answer = {"error": type(error).__name__, "words": [error.what, error.why, error.fix]}
print()
print(json.dumps(answer))
"""
