"""The bundled model as a GGUF file, an echo model, and one real benchmark of each kind that many tests look at."""

from __future__ import annotations

from pathlib import Path

import pytest

import pajamas

TINY = Path(__file__).parents[2] / "tiny/src/pajamas_tiny/model"


@pytest.fixture(scope="module", autouse=True)
def own_folders(tmp_path_factory):
    """Caches and the model store of these tests only: others run in the same process."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "PAJAMAS_MODELS"):
            patch.setenv(name, str(tmp_path_factory.mktemp(name.lower())))
        yield


@pytest.fixture(scope="session")
def tiny_q4(tmp_path_factory):
    """The bundled model as Q4_K_M."""
    return pajamas.run("convert", model=TINY, output=tmp_path_factory.mktemp("tiny"), precision="q4_k_m").gguf_path


@pytest.fixture(scope="session")
def echo_model(tmp_path_factory):
    """A model of the example backend, which serves several requests at once."""
    path = tmp_path_factory.mktemp("echo") / "model.echo"
    path.write_text('{"format": "echo", "scheme": "plain", "model": "model"}')
    return path
