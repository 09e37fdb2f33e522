"""The vLLM backend keeps the contract of backends: the kit runs where vLLM is, here or in its environment."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from pajamas.environments.finding import is_here
from pajamas.testing import BackendConformance
from pajamas.testing.quantizing import Quantizing
from pajamas.types import LoadOptions
from pajamas_vllm.environment import ENGINE
from questions import MODEL

QUANTIZING = ("test_the_model_becomes_an_artifact", *(name for name in vars(Quantizing) if name.startswith("test_")))
"""Rules that need llm-compressor."""


if is_here(ENGINE):

    class TestVLLM(BackendConformance):
        backend = "vllm"
        engine_modules = ("vllm",)
        # One thread: two that share a busy processor wait for each other.
        load_options = LoadOptions(context_length=1024, threads=1)

        @pytest.fixture(scope="class")
        @classmethod
        def artifact(cls):
            """The model in 16 bits, as vLLM loads it: it needs no llm-compressor, and its answers are the model's."""
            return MODEL

    class TestQuantized(BackendConformance):
        backend = "vllm"
        scheme = "fp8"
        load_options = LoadOptions(context_length=1024, threads=1)

else:

    @pytest.mark.slow
    def test_the_kit_passes_in_vllms_environment(vllm_python):
        run_kit(vllm_python, "TestVLLM", f"not ({' or '.join(QUANTIZING)})")

    @pytest.mark.slow
    def test_the_kits_rules_of_quantizing_pass_there(vllm_python, quantizer):
        # A killed run takes minutes here, and is what test_quantize.py kills too.
        chosen = [name for name in QUANTIZING if name != "test_a_killed_run_leaves_nothing"]
        run_kit(vllm_python, "TestQuantized", " or ".join(chosen))


def run_kit(python, kit, rules):
    """Run a class of this file there, as far as `-k rules` chooses."""
    asked = subprocess.run([python, "-c", "import pytest"], capture_output=True, check=False)
    if asked.returncode:
        pytest.skip(f"{python} has no pytest: install it there to run the kit")
    here = str(Path(__file__).parent)
    # Without the workspace's settings: they make errors of warnings, of which vLLM has some.
    settings = ["-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", here]
    done = subprocess.run(
        [python, "-m", "pytest", *settings, "-k", rules, f"{__file__}::{kit}"],
        capture_output=True,
        text=True,
        timeout=580,
        cwd=here,
        env={**os.environ, "PYTHONPATH": here},
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
