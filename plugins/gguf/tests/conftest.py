"""The bundled model as GGUF files, made by this backend's own pipeline, and sessions over them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pajamas.modelfiles import LocalFiles
from pajamas.source import Source
from pajamas.types import Artifact, LoadOptions

TINY = Path(__file__).parents[2] / "tiny/src/pajamas_tiny/model"


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Probes and check-ups are remembered for this run only, not in the cache of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def tiny_bf16(tmp_path_factory):
    """The bundled model, 16 bit: a path."""
    from pajamas_gguf.convert.converter import convert

    path = tmp_path_factory.mktemp("tiny") / "tiny-bf16.gguf"
    source = Source(text=str(TINY), kind="folder", path=TINY)
    return convert(LocalFiles(TINY), source, path, name="tiny").path


@pytest.fixture(scope="session")
def tiny_q4(tmp_path_factory):
    """The bundled model at Q4_K_M: a path."""
    from pajamas.architecture import detect_architecture
    from pajamas.types import QuantizeJob
    from pajamas_gguf.quantize.pipeline import quantize

    files = LocalFiles(TINY)
    job = QuantizeJob(
        files=files,
        source=Source(text=str(TINY), kind="folder", path=TINY),
        architecture=detect_architecture(files),
        format="gguf",
        scheme="Q4_K_M",
        output=tmp_path_factory.mktemp("tiny") / "tiny-q4_k_m.gguf",
        name="tiny",
        threads=2,
        contexts=(),
    )
    return quantize(job).path


@pytest.fixture(scope="session")
def load_session():
    """A function that loads a path with options, and closes what it loaded at the end."""
    from pajamas_gguf.session.load import load

    opened = []

    def loader(path, **options):
        session = load(Artifact(path=path, format="gguf"), LoadOptions(**{"threads": 2, **options}))
        opened.append(session)
        return session

    yield loader
    for session in opened:
        session.close()


@pytest.fixture(scope="session")
def session(tiny_q4, load_session):
    """One session for tests that leave it as they found it: open, and with no answer open."""
    return load_session(tiny_q4)
