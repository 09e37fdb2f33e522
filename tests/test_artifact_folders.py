"""A folder that `convert` has written, with two formats in it: what it means, and what is said when a part is gone."""

from __future__ import annotations

import logging
import shutil

import pytest
from attrs import evolve

import cliprogram
import pajamas
from pajamas import manifest
from pajamas.errors import ModelFileError, ModelNotFound, NotCached, UsageError
from pajamas.manifest import SourceRecord
from pajamas.operations.loading import select

QUICK = {"metrics": "perplexity", "options": {"windows": 1}}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A copy of `tiny`, and Q4_K_M and MLX 4-bit of it."""
    home = tmp_path_factory.mktemp("folders")
    source = shutil.copytree(pajamas.run("list").aliases["tiny"], home / "source")
    return pajamas.run("convert", model=source, output=home / "two", formats="gguf,mlx", precision="q4_k_m:4bit")


@pytest.fixture
def two(made, tmp_path):
    """A copy of the folder, to be changed."""
    return shutil.copytree(made.folder, tmp_path / "my two")


def test_a_folder_means_the_same_artifact_after_a_measurement(two, caplog):
    before = select(two)
    with caplog.at_level(logging.INFO):
        result = pajamas.run("validate", quantized=two, **QUICK)

    assert result.manifest_path == two / "manifest.json"
    assert before.artifact.format == result.artifact.format == select(two).artifact.format == "gguf"
    assert f"{two} has artifacts in gguf and mlx: gguf is the first of them that is served." in caplog.text


def test_gguf_comes_first_whatever_was_made_first_and_the_backend_that_is_named_decides(two):
    found = manifest.read(two)
    manifest.write(two, evolve(found, artifacts=found.artifacts[::-1]))

    assert select(two).artifact.format == "gguf"
    assert select(two, "mlx").artifact.format == "mlx"


@pytest.mark.parametrize("name", ["gguf", "gguf/source-q4_k_m.gguf", ""])
def test_the_models_own_text_is_found_from_any_name_of_an_artifact(two, monkeypatch, name):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    result = pajamas.run("validate", quantized=two / name, **QUICK)

    assert result.finding("perplexity").details["text"] == "eval.jsonl"


def test_verify_takes_a_scheme_after_a_folder(two):
    result = pajamas.run("verify", path=f"{two}:q4_k_m")

    assert result.ok and {check.artifact for check in result.checks} == {"gguf/source-q4_k_m.gguf"}
    with pytest.raises(ModelNotFound, match="no artifact of the scheme q6_k") as caught:
        pajamas.run("verify", path=f"{two}:q6_k")
    assert caught.value.why == "It has: Q4_K_M, 4bit."


def test_a_deep_verification_says_what_held_and_that_the_original_is_gone(made, tmp_path):
    source = shutil.copytree(made.source.path, tmp_path / "source")
    plain = {"model": source, "output": tmp_path / "out", "precision": "q8_0"}
    pajamas.run("convert", **plain, validate=True, validation=QUICK)
    shutil.rmtree(source)

    done = cliprogram.run_here("verify", "--deep", tmp_path / "out", home=tmp_path)
    result = pajamas.run("verify", path=tmp_path / "out", deep=True)

    assert done.returncode == 3
    assert b"ok     tensor digest" in done.stdout and b"WRONG" not in done.stdout + done.stderr
    assert f"The original of {tmp_path}/out/gguf/source-q8_0.gguf is gone: {source}".encode() in done.stderr
    assert not result.ok and all(check.ok for check in result.checks)
    assert pajamas.run("verify", path=tmp_path / "out").ok


def test_a_measurement_says_that_the_original_is_gone(two, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    found = manifest.read(two)
    gone = [evolve(receipt, source=SourceRecord(text=str(tmp_path / "gone"))) for receipt in found.artifacts]
    manifest.write(two, evolve(found, artifacts=tuple(gone)))

    with pytest.raises(ModelNotFound, match=f"is gone: {tmp_path / 'gone'}"):
        pajamas.run("validate", quantized=two, **QUICK)
    with pytest.raises(NotCached):
        pajamas.run("validate", quantized=two, alone=True, **QUICK)


@pytest.mark.parametrize("lost", ["config.json", "model.safetensors"])
def test_an_artifact_that_has_lost_a_file_is_damaged_and_no_source_model(two, made, lost):
    (two / "mlx" / lost).unlink()

    with pytest.raises(ModelFileError, match="mlx is damaged") as caught:
        select(two / "mlx")

    assert caught.value.why.endswith(f"it lacks mlx/{lost}.")
    assert f"pajamas convert --model {made.source.path} --formats mlx --precision 4bit" in caught.value.fix


def test_a_folder_of_artifacts_is_no_model_to_convert(two, made):
    with pytest.raises(UsageError, match="is a folder of artifacts") as caught:
        pajamas.run("convert", model=two, precision="q8_0", dry_run=True)

    assert caught.value.fix == f"Name the original: {made.source.path}"
