"""A dry run of a plain model without the engine: exactly what the engine would say."""

from __future__ import annotations

import json

import pytest

from mlx_jobs import TINY, make_job, planned
from pajamas.modelfiles import read_json
from pajamas_mlx.quantize import origin, runner
from pajamas_mlx.quantize.outline import announce
from pajamas_mlx.quantize.pipeline import make_task, quantize
from pajamas_mlx.quantize.recipe import find_recipe
from pajamas_mlx.quantize.schemes import SCHEMES
from random_models import make_model

CONTEXTS = (100, 4096)
PLAIN = ("Qwen3-0.6B", "Llama-2-7b-hf", "Llama-3.2-1B", "Qwen2.5-0.5B-Instruct", "Mistral-7B-Instruct-v0.3")


def announced(model, scheme="4bit", **options):
    job = make_job(model, model.parent / "out", scheme, contexts=CONTEXTS, **options)
    tensors, _ = origin.check(job)
    return announce(make_task(job, find_recipe(job), model, None, None), read_json(job.files, "config.json"), tensors)


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize(
    ("scheme", "options"),
    [
        ("4bit", {"mixed_precision": True}),
        ("4bit", {"target_bpw": 7.5}),
        ("3bit", {"group_size": 128}),
        ("8bit", {}),
        ("mxfp4", {}),
        ("nvfp4", {}),
        ("f16", {}),
    ],
)
def test_it_is_what_the_engine_says(tmp_path, name, scheme, options):
    model = make_model(name, tmp_path)

    found = announced(model, scheme, **options)

    if found is None:  # in float16 what such a layer answers is of another type
        assert (name, scheme[-3:]) == ("Llama-2-7b-hf", "fp4")
    else:
        assert found == planned(model, tmp_path / "a", scheme, contexts=CONTEXTS, **options)


def test_the_bundled_model_needs_no_engine(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "CHILD", ["false"])
    plain = [name for name, scheme in SCHEMES.items() if scheme.recipe is None]

    sizes = {name: quantize(make_job(TINY, tmp_path / "out", name, dry_run=True)).size for name in plain}

    assert sizes["2bit"] < sizes["3bit"] < sizes["6bit"] < sizes["8bit"] < sizes["f16"]


@pytest.mark.parametrize(
    "change",
    [
        {"model_type": "granite"},
        {"num_hidden_layers": 1},
        {"hidden_size": 128},
        {"rope_parameters": {"rope_type": "yarn", "factor": 4.0, "rope_theta": 1e6}},
        {"layer_types": ["full_attention", "sliding_attention"]},
        {"tie_word_embeddings": None},
    ],
)
def test_what_is_not_plain_is_left_to_the_engine(tmp_path, change):
    model = make_model("Qwen3-0.6B", tmp_path)
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    (model / "config.json").write_text(json.dumps(config | change), encoding="utf-8")

    assert announced(model) is None


@pytest.mark.parametrize("name", ["Qwen3-30B-A3B", "Phi-3-mini-4k-instruct"])
def test_other_families_are_left_to_the_engine(tmp_path, name):
    assert announced(make_model(name, tmp_path)) is None
