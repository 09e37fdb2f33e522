"""Files and folders of formats that core does not know: which backend is asked, and what is made of them."""

from __future__ import annotations

import shutil

import pytest

import pajamas
from pajamas.errors import (
    ModelNotFound,
    PluginLoadError,
    TargetExists,
    UnsupportedFeature,
    UnsupportedModel,
    UsageError,
)
from pajamas.operations.loading import select
from pajamas.plugins import PluginHost
from plugin_dists import write_dist

WITHOUT_MLX = frozenset({"mlx"})  # which would load what others want converted
CLAIMS = """
    from pajamas.hookspecs import hookimpl
    from pajamas.types import BackendInfo

    @hookimpl
    def describe():
        return BackendInfo(
            name="{name}", engine="none", engine_version="1", formats=("{format}",), schemes=(), features=frozenset(),
            file_suffixes={suffixes}, folder_markers={markers},
        )
"""


def claim(dists, name, format, suffixes=None, markers=None):
    source = CLAIMS.format(name=name, format=format, suffixes=suffixes or {}, markers=markers or {})
    write_dist(dists, f"pajamas-{name}", source, entry=name)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """`tiny` in the format of the echo backend."""
    folder = tmp_path_factory.mktemp("made") / "tiny"
    return pajamas.run("convert", model="tiny", output=folder, formats="echo")


@pytest.fixture
def artifact(made):
    return made.artifacts[0].path


def test_the_suffix_names_the_file_and_the_profile_the_scheme(made, artifact):
    assert artifact.relative_to(made.folder).as_posix() == "echo/tiny-plain.echo"
    assert (made.targets[0].scheme, made.targets[0].profile.name) == ("plain", "balanced")
    assert made.artifacts[0].size == artifact.stat().st_size


def test_output_may_be_the_file_itself(tmp_path):
    result = pajamas.run("convert", model="tiny", output=tmp_path / "mine.echo", formats="echo", precision="COMPACT")

    assert result.artifacts[0].path == tmp_path / "mine.echo"
    assert result.receipts[0].scheme == "compact"
    with pytest.raises(TargetExists):
        pajamas.run("convert", model="tiny", output=tmp_path / "mine.echo", formats="echo")
    with pytest.raises(UsageError, match="is one file"):
        pajamas.run("convert", model="tiny", output=tmp_path / "mine.gguf", formats="echo")


def test_a_dry_run_is_exact_and_writes_nothing(made, tmp_path):
    result = pajamas.run("convert", model="tiny", output=tmp_path / "out", formats="echo", dry_run=True)

    assert result.artifacts[0].size == made.artifacts[0].size
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("backend", [None, "echo", "cpu"])
def test_a_file_is_answered_by_the_backend_that_knows_its_suffix(artifact, backend):
    assert pajamas.run("generate", model=artifact, prompt="Hello", backend=backend).text == "Hello"


def test_info_and_verify_know_the_artifact(made, artifact):
    found = pajamas.run("info", model=str(artifact))

    assert (found.architecture.family, found.size_on_disk, found.cached) == ("Echo", artifact.stat().st_size, artifact)
    assert found.profiles == ()
    checked = pajamas.run("verify", path=artifact)
    assert checked.ok and f"sha256 of echo/{artifact.name}" in [check.what for check in checked.checks]


def test_verify_finds_a_change(made, tmp_path):
    shutil.copytree(made.folder, tmp_path / "copy")
    path = tmp_path / "copy/echo/tiny-plain.echo"
    path.write_text(path.read_text().replace("plain", "loud"))

    assert not pajamas.run("verify", path=path).ok


def test_a_model_that_was_not_converted_for_the_backend_says_how(tmp_path, monkeypatch, dists):
    monkeypatch.setenv("PAJAMAS_MODELS", str(tmp_path / "store"))
    with pytest.raises(UnsupportedModel) as nothing:
        pajamas.run("generate", model="tiny", prompt="Hello", backend="echo")
    assert "pajamas convert --model tiny --formats echo " in nothing.value.fix

    pajamas.run("convert", model="tiny", formats="echo")
    assert pajamas.run("generate", model="tiny", prompt="Hello", backend="echo").text == "Hello"
    claim(dists, "clay", "clay")
    with pytest.raises(UnsupportedFeature, match="does not take echo"):  # it makes nothing either
        pajamas.run("generate", model="tiny", prompt="Hello", backend="clay")
    listed = pajamas.run("list").models[0]
    assert (listed.name, listed.format, listed.scheme) == ("tiny", "echo", "plain")


def test_an_unknown_scheme_is_refused_before_anything_is_looked_for():
    with pytest.raises(UsageError, match="no scheme 'plian'") as caught:
        pajamas.run("convert", model="Nobody/Nothing", formats="echo", precision="plian")

    assert "plain" in caught.value.fix


def test_two_backends_that_claim_one_suffix_are_both_named(dists, tmp_path):
    claim(dists, "clay", "clay", {".pot": "clay"})
    claim(dists, "mud", "mud", {".pot": "mud"})
    path = tmp_path / "mine.pot"
    path.touch()

    with pytest.raises(UsageError, match="not clear what") as caught:
        select(path, host=PluginHost())
    assert "clay takes it for clay" in caught.value.why and "mud takes it for mud" in caught.value.why
    chosen = select(path, "mud", host=PluginHost())
    assert (chosen.artifact.format, chosen.choice.backend.name) == ("mud", "mud")


def test_two_backends_of_one_format_agree(dists, tmp_path):
    claim(dists, "clay", "clay", {".pot": "clay"})
    claim(dists, "potter", "clay", {".POT": "clay"})
    (tmp_path / "Mine.Pot").touch()

    assert select(tmp_path / "Mine.Pot", host=PluginHost()).choice.backend.name == "clay"


def test_the_longest_suffix_of_a_backend_counts(dists, tmp_path):
    claim(dists, "clay", "clay", {".pot": "mud", ".big.pot": "clay"})
    (tmp_path / "mine.big.pot").touch()

    assert select(tmp_path / "mine.big.pot", host=PluginHost()).artifact.format == "clay"


def test_only_the_named_backend_is_asked_and_nobody_about_what_core_knows(dists, artifact, tmp_path):
    write_dist(dists, "pajamas-loud", "raise SystemExit('imported')", entry="loud")
    host = PluginHost()

    assert select(artifact, "echo", host=host).artifact.format == "echo"
    (tmp_path / "x.gguf").touch()
    with pytest.raises(UnsupportedFeature, match="does not take gguf"):
        select(tmp_path / "x.gguf", "echo", host=host)
    with pytest.raises(UsageError, match="not a model by itself"):
        claim(dists, "clay", "clay", {".pot": "clay"})
        select(artifact, "clay", host=PluginHost())


@pytest.mark.parametrize("config", [True, False])
def test_a_folder_is_known_by_a_file_in_it(dists, tmp_path, config):
    claim(dists, "clay", "clay", markers={"kiln.xml": "clay"})
    folder = tmp_path / "pots"
    folder.mkdir()
    if config:  # such as its engine's exporter leaves beside its own files
        (folder / "config.json").write_text('{"model_type": "qwen3"}')
    with pytest.raises(UnsupportedModel if config else ModelNotFound):
        select(folder, host=PluginHost(disabled=WITHOUT_MLX))
    (folder / "kiln.xml").touch()

    chosen = select(folder, host=PluginHost())

    assert (chosen.artifact.format, chosen.artifact.path) == ("clay", folder)


def test_a_folder_with_safetensors_is_a_source_model_whatever_else_lies_there(dists, tmp_path):
    claim(dists, "clay", "clay", markers={"kiln.xml": "clay"})
    for name, text in (("config.json", "{}"), ("model.safetensors", ""), ("kiln.xml", "")):
        (tmp_path / "pots").mkdir(exist_ok=True)
        (tmp_path / "pots" / name).write_text(text)

    with pytest.raises(UnsupportedModel, match="must be converted first"):
        select(tmp_path / "pots", host=PluginHost(disabled=WITHOUT_MLX))


@pytest.mark.parametrize("suffixes", [[".pot"], {".pot": 3}, {".pot"}])
def test_a_backend_that_declares_nonsense_claims_nothing(dists, tmp_path, suffixes):
    claim(dists, "clay", "clay", suffixes)
    claim(dists, "mud", "mud", {".pot": "mud"})
    (tmp_path / "mine.pot").touch()

    assert select(tmp_path / "mine.pot", host=PluginHost()).artifact.format == "mud"
    with pytest.raises(PluginLoadError, match="failed in describe"):
        select(tmp_path / "mine.pot", "clay", host=PluginHost())
