"""Fixtures of the tests over several distributions."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "core/tests"))


@pytest.fixture(scope="session")
def cli_home(tmp_path_factory):
    """A home for the installed program, with `tiny` converted in its store."""
    import cliprogram

    home = tmp_path_factory.mktemp("home")
    done = cliprogram.run("convert", "--model", "tiny", home=home)
    assert done.returncode == 0, done.stderr.decode()
    return home


@pytest.fixture(scope="session")
def tiny_gguf(cli_home):
    """The bundled model as Q4_K_M."""
    return cli_home / "data/pajamas/models/tiny/gguf/tiny-q4_k_m.gguf"
