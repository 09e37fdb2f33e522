"""Conversion as core does it, with backends of fake distributions: several formats, and who is asked what."""

from __future__ import annotations

import pytest

from pajamas import manifest
from pajamas.errors import EngineError, TargetExists, UnsupportedFeature, UnsupportedModel, UsageError
from pajamas.modelfiles import LocalFiles
from pajamas.operations.converting import convert
from pajamas.operations.converting_paths import no_empty_folders
from pajamas.operations.detecting import detect
from pajamas.plugins import PluginHost
from plugin_dists import backend_source, write_dist

FAILS = """
@hookimpl
def quantize(job):
    raise EngineError("The press broke.", "It is old.", "Repair it.")
"""
IMPORTS = "\nfrom pajamas.types import Architecture, Artifact\nfrom pajamas.errors import EngineError\n"


def body(text: str) -> str:
    """Indented as `backend_source` is, for one dedent of both."""
    return "".join(f"    {line}\n" for line in (IMPORTS + text).splitlines())


@pytest.fixture
def host(dists):
    write_dist(
        dists, "pajamas-slab", backend_source("slab", format="slab", schemes=("thick",)) + body(FAILS), entry="slab"
    )
    return PluginHost()


def test_the_failure_of_one_format_does_not_lose_the_other(host, tmp_path):
    folder = tmp_path / "out"

    result = convert("tiny", folder, ["slab", "echo"], "thick:plain", host=host)

    assert [artifact.format for artifact in result.artifacts] == ["echo"]
    assert isinstance(result.failures["slab"], EngineError)
    assert [receipt.path for receipt in manifest.read(folder).artifacts] == ["echo/tiny-plain.echo"]


def test_the_failure_of_all_is_raised(host, tmp_path):
    with pytest.raises(EngineError, match="The press broke"):
        convert("tiny", tmp_path / "out", ["slab"], "thick", host=host)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("before", [True, False])
def test_folders_that_stay_empty_are_removed_and_others_are_not(tmp_path, before):
    if before:
        (tmp_path / "out").mkdir()

    with pytest.raises(KeyboardInterrupt), no_empty_folders(tmp_path / "out/gguf/tiny.gguf"):
        (tmp_path / "out/gguf").mkdir(parents=True)
        raise KeyboardInterrupt

    assert (tmp_path / "out").exists() == before
    assert not (tmp_path / "out/gguf").exists()


def test_an_existing_folder_is_refused_before_any_format_is_made(host, tmp_path):
    (tmp_path / "slab").mkdir()
    (tmp_path / "slab/mine").touch()

    with pytest.raises(TargetExists):
        convert("tiny", tmp_path, ["echo", "slab"], "plain:thick", host=host)

    assert not (tmp_path / "echo").exists()


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_file_is_no_folder_for_artifacts(tmp_path, name):
    (tmp_path / "file").write_text("mine")

    with pytest.raises(UsageError, match="file is a file"):
        convert("tiny", tmp_path / name, ["echo"])
    assert (tmp_path / "file").read_text() == "mine"


def test_a_backend_that_does_not_make_the_format_is_refused(host, tmp_path):
    with pytest.raises(UnsupportedFeature, match="does not take echo"):
        convert("tiny", tmp_path / "out", ["echo"], "plain", backend="slab", host=host)


def detects(name: str, layers: int) -> str:
    architecture = (
        f"Architecture(model_type='{name}', family='F', num_layers={layers}, hidden_size=1, intermediate_size=1, "
        "num_heads=1, num_kv_heads=1, head_dim=1, attention_type='mha', vocab_size=1, tied_embeddings=False, "
        "context_length=1)"
    )
    return body(f"@hookimpl\ndef detect_architecture(files):\n    return {architecture}\n")


@pytest.fixture
def foreign(tmp_path):
    folder = tmp_path / "foreign"
    folder.mkdir()
    (folder / "model.clay").write_text("")
    return LocalFiles(folder)


def test_backends_that_agree_about_a_foreign_model_are_believed(dists, foreign):
    for name in ("one", "two"):
        write_dist(dists, f"pajamas-{name}", backend_source(name) + detects("clay", 3), entry=name)

    assert detect(PluginHost(), foreign).num_layers == 3


def test_backends_that_disagree_are_both_named(dists, foreign):
    for name, layers in (("one", 3), ("two", 4)):
        write_dist(dists, f"pajamas-{name}", backend_source(name) + detects("clay", layers), entry=name)

    with pytest.raises(UnsupportedModel, match="one and two"):
        detect(PluginHost(), foreign)


def test_a_backend_that_raises_does_not_silence_the_others(dists, foreign, caplog):
    write_dist(dists, "pajamas-one", backend_source("one") + detects("clay", 3), entry="one")
    source = backend_source("bad") + body("@hookimpl\ndef detect_architecture(files):\n    return 1 // 0\n")
    write_dist(dists, "pajamas-bad", source, entry="bad")

    assert detect(PluginHost(), foreign).num_layers == 3
    assert "bad" in caplog.text


def test_nobody_knows_a_foreign_model(foreign):
    with pytest.raises(UnsupportedModel, match="not a model that pajamas can read"):
        detect(PluginHost(), foreign)


def test_validate_is_refused_before_the_work_where_nothing_measures(tmp_path):
    with pytest.raises(UnsupportedFeature, match="Nothing can be measured"):
        convert("tiny", tmp_path / "out", validate=True, host=PluginHost(disabled=frozenset({"pajamas-validate"})))
    assert not (tmp_path / "out").exists()


def test_the_result_says_why_these_backends(host, tmp_path):
    result = convert("tiny", tmp_path / "out", "echo, slab", "plain:thick", dry_run=True, host=host)

    assert "echo takes it and runs on cpu: chosen." in result.reasons
    assert "slab takes it and runs on cpu: chosen." in result.reasons
    assert len(set(result.reasons)) == len(result.reasons)
