"""Fixtures of vLLM's tests: where its environments are."""

from __future__ import annotations

import os

import pytest

from pajamas.environments.finding import create_command, find, interpreter, is_here, variable_of
from pajamas_vllm.environment import ENGINE, QUANTIZER

NEEDED = "PAJAMAS_TESTS_NEED_ENVIRONMENTS"
"""Set where a missing environment is a fault and no reason to skip."""


@pytest.fixture(scope="session")
def vllm_python():
    """The interpreter that has vLLM: this one, the one that PAJAMAS_VLLM_PYTHON names, or the managed environment's."""
    return python_of(ENGINE)


@pytest.fixture(scope="session")
def quantizer():
    """The interpreter that has llm-compressor; PAJAMAS_VLLM_QUANTIZE_PYTHON names one."""
    return python_of(QUANTIZER)


def python_of(environment):
    found = find(environment)
    if not is_here(environment) and (found is None or found.problem) and not os.environ.get(NEEDED):
        pytest.skip(f"{environment.module} is not here: {create_command(environment)}, or {variable_of(environment)}")
    return interpreter(environment, purpose="This test")
