"""A backend whose engine is not here, described as it is in its environment."""

from __future__ import annotations

import sys

from attrs import evolve

from pajamas.environments.finding import create_command, find, is_here
from pajamas.types import BackendInfo


def placed(info: BackendInfo) -> BackendInfo:
    """The description of a backend that cannot run in this process, with its environment's interpreter if there is one.

    What the engine is there is told from the environment's record: nothing is run.
    """
    environment = info.environment
    if environment is None or is_here(environment) or sys.platform == "win32":  # it is here, and broken
        return info
    found = find(environment)
    if found is None:
        reason = f"{info.unavailable}, and its environment {environment.name!r} is not made"
        create = create_command(environment)
        return evolve(info, unavailable=reason, fix=info.fix if create in info.fix else create)
    if found.problem is not None:
        return evolve(info, unavailable=found.problem, fix=found.fix)
    return evolve(
        info,
        unavailable=None,
        fix="",
        python=found.python,
        engine_version=found.engine_version,
        devices=(found.variant,),
    )
