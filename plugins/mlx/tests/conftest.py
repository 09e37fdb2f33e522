"""The bundled model, loaded by the MLX backend as it is."""

from __future__ import annotations

import json
import shutil

import pytest

from asked import TINY
from pajamas.types import Artifact, LoadOptions

_NEEDED = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")

_SLOW_RULES = ("test_every_declared_scheme_is_taken", "test_a_killed_run_leaves_nothing")


@pytest.fixture(scope="session")
def cache_home(tmp_path_factory):
    """Where it is remembered which folders were tried before: not in the cache of whoever runs the tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module", autouse=True)
def _own_cache(cache_home):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache_home))
        yield


@pytest.fixture(scope="session")
def load():
    """Load a folder, the bundled model's if none is named; sessions are closed at the end."""
    opened = []

    def run(folder=TINY, **options):
        from pajamas_mlx.hooks import load

        opened.append(load(Artifact(path=folder, format="safetensors"), LoadOptions(**options)))
        return opened[-1]

    yield run
    for session in opened:
        session.close()


@pytest.fixture(scope="session")
def session(load):
    return load()


@pytest.fixture
def folder(tmp_path):
    """A copy of the bundled model that a test may spoil; its config is changed by the fixture `edit`."""
    copied = tmp_path / "model"
    copied.mkdir()
    for name in _NEEDED:
        shutil.copyfile(TINY / name, copied / name)
    return copied


@pytest.fixture
def edit(folder):
    """Change keys of a JSON file of the folder."""

    def run(name="config.json", **values):
        path = folder / name
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return run


def pytest_collection_modifyitems(items):
    """Rules of the kit that start the engine many times: quantizing with each scheme, or killed at each moment."""
    for item in items:
        if item.nodeid.partition("::")[2].startswith("TestMLX::") and item.name in _SLOW_RULES:
            item.add_marker(pytest.mark.slow)
