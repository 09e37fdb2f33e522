"""The vLLM backend keeps the contract of backends: the kit runs where vLLM is, here or in its environment."""

from __future__ import annotations

import importlib.util
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
        model = str(MODEL.path)  # by its folder: the alias is of another plugin
        scheme = "fp8"
        load_options = LoadOptions(context_length=1024, threads=1)

else:

    @pytest.mark.slow
    def test_the_kit_passes_in_vllms_environment(vllm_python, lent):
        run_kit(vllm_python, "TestVLLM", f"not ({' or '.join(QUANTIZING)})", lent)

    @pytest.mark.slow
    def test_the_kits_rules_of_quantizing_pass_there(vllm_python, quantizer, lent):
        # A killed run takes minutes here, and is what test_quantize.py kills too.
        chosen = [name for name in QUANTIZING if name != "test_a_killed_run_leaves_nothing"]
        run_kit(vllm_python, "TestQuantized", " or ".join(chosen), lent)


@pytest.fixture
def lent(tmp_path):
    """A folder with this environment's pytest and nothing else: engines' environments have none."""
    folder = tmp_path / "lent"
    folder.mkdir()
    for name in ("pytest", "_pytest", "py", "pluggy", "iniconfig"):
        origin = Path(importlib.util.find_spec(name).origin)
        there = origin.parent if origin.name == "__init__.py" else origin
        (folder / there.name).symlink_to(there)
    return folder


def run_kit(python, kit, rules, lent):
    """Run a class of this file there, as far as `-k rules` chooses."""
    here = str(Path(__file__).parent)
    # Without the workspace's settings: they make errors of warnings, of which vLLM has some.
    settings = ["-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", here]
    done = subprocess.run(
        [python, "-m", "pytest", *settings, "-k", rules, f"{__file__}::{kit}"],
        capture_output=True,
        text=True,
        timeout=580,
        cwd=here,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((here, str(lent)))},
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
