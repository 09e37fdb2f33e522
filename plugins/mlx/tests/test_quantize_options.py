"""Options are honoured, or refused by name before any work."""

from __future__ import annotations

import json
import shutil

import pytest

from mlx_jobs import TINY, make_job
from pajamas.calibration import find_corpus
from pajamas.errors import UnsupportedFeature, UnsupportedModel, UsageError
from pajamas.modelfiles import LocalFiles
from pajamas.profiles import resolve_targets
from pajamas_mlx.quantize import origin
from pajamas_mlx.quantize.recipe import find_recipe
from pajamas_mlx.quantize.schemes import QUANTIZE_OPTIONS, SCHEMES
from random_models import make_model

REFUSED = [
    ("4bit", {"group_size": 48}, "--group-size 48"),
    ("4bit", {"group_size": 16}, "--group-size 16"),
    ("bf16", {"group_size": 64}, "--group-size"),
    ("mxfp4", {"group_size": 64}, "--group-size 64"),
    ("nvfp4", {"group_size": 32}, "--group-size 32"),
    ("4bit", {"embedding_bits": 7}, "--embedding-bits 7"),
    ("4bit", {"embedding_bits": 0}, "--embedding-bits 0"),
    ("mxfp4", {"embedding_bits": 6}, "--embedding-bits"),
    ("f16", {"mixed_precision": True}, "--mixed-precision"),
    ("mixed_3_6", {"target_bpw": 5.0}, "--target-bpw"),
    ("bf16", {"aggressive": True}, "--aggressive"),
    ("4bit", {"target_bpw": 4.0}, "--target-bpw 4"),
    ("4bit", {"target_bpw": 17.0}, "--target-bpw 17"),
    ("4bit", {"target_bpw": float("nan")}, "--target-bpw nan"),
    ("4bit", {"target_bpw": float("inf")}, "--target-bpw inf"),
    ("4bit", {"calibration_samples": 0}, "--calibration-samples 0"),
    ("6bit", {"calibration_samples": 16}, "--calibration-samples"),
    ("4bit", {"aggressive": True, "embedding_bits": 6}, "--embedding-bits"),
    ("4bit", {"aggressive": True, "mixed_precision": True}, "--mixed-precision"),
    ("4bit", {"aggressive": True, "target_bpw": 5.0}, "--target-bpw"),
    ("4bit", {"mixed_precision": True, "target_bpw": 5.0}, "--target-bpw"),
    ("4bit", {"mixed_precision": True, "calibration_samples": 5}, "--calibration-samples"),
    ("6bit", {"mixed_precision": True}, "--mixed-precision"),
    ("8bit", {"mixed_precision": True, "embedding_bits": 8}, "--mixed-precision"),
    ("8bit", {"aggressive": True}, "--aggressive"),
    ("3bit", {"aggressive": True}, "--aggressive"),
    ("1bit", {}, "1bit"),
]


@pytest.mark.parametrize(("scheme", "options", "named"), REFUSED)
def test_what_cannot_be_honoured_is_refused_by_name(tmp_path, scheme, options, named):
    with pytest.raises(UsageError, match=named):
        find_recipe(make_job(TINY, tmp_path, scheme, **options))


@pytest.mark.parametrize(
    ("scheme", "options", "expected"),
    [
        ("4bit", {}, (64, 6, 5.0, "6bit")),
        ("4bit", {"aggressive": True}, (64, None, None, "4bit")),
        ("4bit", {"mixed_precision": True}, (64, 6, None, "4bit")),
        ("4bit", {"mixed_precision": True, "embedding_bits": 4}, (64, 4, None, "4bit")),
        ("4bit", {"embedding_bits": 8, "target_bpw": 5.5, "group_size": 32}, (32, 8, 5.5, "6bit")),
        ("3bit", {"target_bpw": 4.0}, (64, 6, 4.0, "4bit")),
        ("8bit", {}, (128, None, None, "bf16")),
        ("8bit", {"group_size": 64}, (64, None, None, "bf16")),
        ("mxfp4", {}, (32, None, None, "4bit")),
        ("bf16", {}, (64, None, None, None)),
    ],
)
def test_what_options_make_of_a_scheme(tmp_path, scheme, options, expected):
    recipe = find_recipe(make_job(TINY, tmp_path, scheme, **options))

    assert (recipe.group_size, recipe.embedding_bits, recipe.target_bpw, recipe.next) == expected


def test_the_next_scheme_is_always_one_that_there_is():
    assert {scheme.next for scheme in SCHEMES.values()} - {None} <= SCHEMES.keys()


def test_describe_declares_what_the_recipe_honours():
    from pajamas_mlx.backend import describe

    info = describe()
    assert info.schemes == tuple(SCHEMES)
    assert info.quantize_options == QUANTIZE_OPTIONS
    backends = {"mlx": info}
    for profile, scheme, aggressive in (("balanced", "4bit", False), ("ultra", "4bit", True), ("hq", "8bit", False)):
        (target,) = resolve_targets(["mlx"], profile=profile, backends=backends)
        assert (target.scheme, target.aggressive) == (scheme, aggressive)
    (target,) = resolve_targets(["mlx"], precision="Q4", backends=backends)
    assert target.scheme == "4bit"
    with pytest.raises(UnsupportedFeature, match="7bit"):
        resolve_targets(["mlx"], precision="7bit", backends=backends)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"quantization": {"bits": 4, "group_size": 64}}, "quantized already"),
        ({"quantization_config": {"quant_method": "awq"}}, "awq"),
        ({"quantization_config": {"quant_method": "mxfp4"}}, "mxfp4"),  # of another model than gpt-oss
        ({"text_config": {"quantization_config": {"quant_method": "fp8"}}}, "fp8"),
        ({"model_file": "modeling.py"}, "modeling.py"),
    ],
)
def test_a_source_that_cannot_be_taken_is_refused_by_name(tmp_path, change, named):
    model = make_model("Qwen3-0.6B", tmp_path)
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    (model / "config.json").write_text(json.dumps(config | change), encoding="utf-8")

    with pytest.raises(UnsupportedModel, match=named):
        origin.check(make_job(model, tmp_path / "out"))


def test_a_gguf_source_is_refused(tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    job = make_job(TINY, tmp_path / "out")

    from attrs import evolve

    with pytest.raises(UnsupportedModel, match="GGUF"):
        origin.check(evolve(job, files=LocalFiles(tmp_path / "model.gguf")))


def test_samples_without_a_text_are_refused(tmp_path):
    model = make_model("Qwen3-0.6B", tmp_path)

    assert find_corpus(make_job(model, tmp_path)) is None
    with pytest.raises(UsageError, match="no text to calibrate with"):
        find_corpus(make_job(model, tmp_path, calibration_samples=4))


def test_the_evaluation_text_is_refused(tmp_path):
    copy = tmp_path / "copy.jsonl"
    shutil.copyfile(TINY / "eval.jsonl", copy)

    with pytest.raises(UsageError, match="evaluation text"):
        find_corpus(make_job(TINY, tmp_path, calibration_text=copy, calibration_samples=500))


def test_the_models_own_text_is_taken_and_recorded(tmp_path):
    corpus = find_corpus(make_job(TINY, tmp_path, calibration_samples=3))

    assert corpus is not None
    assert corpus.record["corpus"] == "calibration.jsonl"
    assert corpus.record["samples"] == 3
    assert corpus.text.startswith("Translate 'red' to Spanish.\nrojo\n\n")
