"""Where an environment's interpreter is, and whether it can be used: quick, without running it."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

from attrs import frozen
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pajamas.environments import record
from pajamas.environments.declaration import Environment
from pajamas.environments.devices import variant_for
from pajamas.environments.inspection import look
from pajamas.environments.record import EnvironmentRecord
from pajamas.errors import EngineMissing
from pajamas.plugin_entries import core_version


@frozen(kw_only=True)
class FoundEnvironment:
    """One that is there, as far as its record tells."""

    python: Path
    variant: str
    """The device word that it was made for."""
    engine_version: str | None
    """Of its library; None where it has none."""
    problem: str | None = None
    """Why it cannot be used, in one line."""
    fix: str = ""
    """What a person can do about `problem`."""
    record: EnvironmentRecord | None = None
    """None for one that a variable names."""


def variable_of(environment: Environment) -> str:
    """What names an interpreter to use instead of the environment that pajamas manages: PAJAMAS_VLLM_PYTHON."""
    return f"PAJAMAS_{environment.name.upper().replace('-', '_')}_PYTHON"


def create_command(environment: Environment) -> str:
    return f"pajamas env create {environment.name}"


def is_here(environment: Environment) -> bool:
    """Whether its library is installed in this very environment. A mere folder of that name is no library."""
    spec = importlib.util.find_spec(environment.module)
    return spec is not None and spec.origin is not None


def find(environment: Environment) -> FoundEnvironment | None:
    """The one that a variable names, or that was made; None where there is none."""
    named = os.environ.get(variable_of(environment))
    if named:
        return _named(environment, Path(named).expanduser().absolute())
    made = record.read(environment.name)
    if made is None:
        return None
    problem = None
    if not made.python.exists():
        problem = f"the environment {made.name} has lost its Python: {made.python} is not there, or leads nowhere"
    elif environment.holds_pajamas and made.pajamas != core_version():
        problem = f"the environment {made.name} holds pajamas {made.pajamas}, and this is pajamas {core_version()}"
    return FoundEnvironment(
        python=made.python,
        variant=made.variant,
        engine_version=made.packages.get(_engine(environment, made.variant)),
        problem=problem,
        fix=create_command(environment),
        record=made,
    )


def interpreter(environment: Environment, *, purpose: str) -> Path:
    """The Python that has the library: this one, else that of the environment.

    :param purpose: what it is needed for, such as "Quantizing for vLLM".

    Raises:
        EngineMissing: there is none, or it cannot be used; the fix is the command that makes it.
    """
    if is_here(environment):
        return Path(sys.executable)
    found = find(environment)
    if found is not None and found.problem is None:
        return found.python
    why = f"{environment.module} is not installed here, and the environment {environment.name!r} is not made."
    fix = create_command(environment)
    if found is not None:
        why, fix = f"What is there cannot be used: {found.problem}.", found.fix
    raise EngineMissing(f"{purpose} needs {environment.module}, in an environment of its own.", why, fix)


def _named(environment: Environment, python: Path) -> FoundEnvironment:
    seen = look(python)
    engines = {variant: _engine(environment, variant) for variant in environment.variants}
    variant = next((name for name, engine in engines.items() if engine in seen.packages), variant_for(environment))
    version = seen.packages.get(engines[variant])
    problem = seen.problem
    if problem is None and version is None:
        problem = f"{python} has no {' and no '.join(dict.fromkeys(engines.values()))}"
    elif problem is None and environment.holds_pajamas and seen.packages.get("pajamas") != core_version():
        problem = f"{python} has pajamas {seen.packages.get('pajamas')}, and this is pajamas {core_version()}"
    variable = variable_of(environment)
    return FoundEnvironment(
        python=python,
        variant=variant,
        engine_version=version,
        problem=None if problem is None else f"{variable} is set, and {problem}",
        fix=f"Install there what is missing, or unset {variable}.",
    )


def _engine(environment: Environment, variant: str) -> str:
    """The library's distribution, whose names differ between variants."""
    requirements = environment.variants.get(variant)
    return canonicalize_name(Requirement(requirements[0]).name) if requirements else ""
