"""An artifact quantized for vLLM is vLLM's, though other backends take the format of sources too."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pajamas import manifest
from pajamas.environments import record
from pajamas.environments.record import EnvironmentRecord
from pajamas.errors import EngineMissing, UnsupportedModel
from pajamas.manifest import Manifest, Receipt, SourceRecord
from pajamas.operations.loading import select
from pajamas.plugin_entries import core_version

TINY = Path(__file__).parents[2] / "tiny/src/pajamas_tiny/model"


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """The record of an environment: nothing of it is run to choose a backend."""
    monkeypatch.setenv("PAJAMAS_ENVIRONMENTS", str(tmp_path / "environments"))
    monkeypatch.delenv("PAJAMAS_VLLM_PYTHON", raising=False)
    python = tmp_path / "environments/vllm/1a2b/python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    record.write(EnvironmentRecord(
        name="vllm", backend="vllm", variant="cpu", python=python, python_version="3", made="", requirements=(),
        pajamas=core_version(), packages={},
    ))  # fmt: skip
    return python


@pytest.fixture
def made(tmp_path):
    """A folder with the receipt of a w4a16 artifact of the bundled model."""
    folder = tmp_path / "made"
    (folder / "safetensors").mkdir(parents=True)
    receipt = Receipt(
        format="safetensors", scheme="w4a16", profile="balanced", path="safetensors", size=1, files={},
        tensor_digest=None, tokenizer_digest=None, template_digest=None, parameters=1, bits_per_weight=8.0,
        architecture=None, tensor_types={}, tensors=(), backend="vllm", engine="vLLM", engine_version=None,
        pajamas_version=core_version(), plugin="pajamas-vllm", command="", created="",
        source=SourceRecord(text=str(TINY.resolve())),
    )  # fmt: skip
    manifest.write(folder, Manifest(name="tiny", artifacts=(receipt,)))
    return folder


@pytest.mark.parametrize("named", [None, "vllm"])
def test_it_is_loaded_by_vllm_named_or_not(environment, made, named):
    found = select(made, named)

    assert found.choice.backend.name == "vllm"
    assert found.choice.info.python == environment
    assert found.artifact.path == made / "safetensors"


def test_another_backend_refuses_it(environment, made):
    with pytest.raises(UnsupportedModel, match="not converted for backend 'mlx'") as caught:
        select(made, "mlx")

    assert caught.value.why == "There is: safetensors w4a16."
    assert "--formats mlx" in caught.value.fix


def test_another_backend_loads_the_source_that_it_was_made_from(environment, made, tmp_path, monkeypatch):
    monkeypatch.setenv("PAJAMAS_MODELS", str(tmp_path))

    assert select(TINY, "mlx").artifact.path == TINY
    assert select(TINY, "vllm").artifact.path == made / "safetensors"


def test_without_the_environment_it_says_how_to_make_it(made, tmp_path, monkeypatch):
    monkeypatch.setenv("PAJAMAS_ENVIRONMENTS", str(tmp_path / "none"))
    monkeypatch.delenv("PAJAMAS_VLLM_PYTHON", raising=False)

    with pytest.raises(EngineMissing) as caught:
        select(made)

    assert "pajamas env create vllm" in caught.value.fix
