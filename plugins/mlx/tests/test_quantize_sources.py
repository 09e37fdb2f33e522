"""Sources that say less, or in other words, than mlx-lm expects: converting takes and refuses what loading does."""

from __future__ import annotations

import json

import pytest

from mlx_jobs import made, make_job
from pajamas.errors import UnsupportedModel
from pajamas_mlx.quantize import origin
from random_models import make_model


@pytest.mark.parametrize("name", ["sparse-config", "Qwen3-Embedding-0.6B"])
def test_what_is_left_out_is_filled_and_loads_as_mlx_lm_has_it(tmp_path, name):
    import mlx_lm

    _, folder = made(make_model(name, tmp_path), tmp_path / "work", "8bit")

    model, _ = mlx_lm.load(str(folder))  # strict: every name and every key
    assert model.layers


def test_experts_that_are_stored_together_are_refused_by_name(tmp_path, load):
    model = make_model("qwen3-moe-fused", tmp_path)

    with pytest.raises(UnsupportedModel, match="experts"):
        made(model, tmp_path / "work", "8bit")
    with pytest.raises(UnsupportedModel, match="experts"):
        load(model)


def test_weights_in_64_bits_are_refused_by_name(tmp_path):
    model = make_model("sparse-config", tmp_path)
    header = json.dumps({"w": {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]}}).encode()
    (model / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))

    with pytest.raises(UnsupportedModel, match="F64"):
        origin.check(make_job(model, tmp_path / "out"))
