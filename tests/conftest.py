"""Fixtures of the tests over several distributions."""

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "core/tests")]

from wheelhouse import install, pip, wheels  # noqa: E402, F401  importable only after the line above; fixtures


@pytest.fixture(scope="session")
def cli_home(tmp_path_factory):
    """A home for the installed program, with `tiny` converted in its store."""
    import cliprogram

    home = tmp_path_factory.mktemp("home")
    done = cliprogram.run_here("convert", "--model", "tiny", home=home)
    assert done.returncode == 0, done.stderr.decode()
    return home


@pytest.fixture(scope="session")
def tiny_gguf(cli_home):
    """The bundled model as Q4_K_M."""
    return cli_home / "data/pajamas/models/tiny/gguf/tiny-q4_k_m.gguf"


@pytest.fixture(scope="session")
def tiny_ladder(tmp_path_factory):
    """The bundled model as F16 and Q2_K: scheme in lower case to file."""
    import pajamas

    folder = tmp_path_factory.mktemp("ladder")
    schemes = ("f16", "q2_k")
    return {
        scheme: pajamas.run("convert", model="tiny", output=folder, precision=scheme).gguf_path for scheme in schemes
    }
