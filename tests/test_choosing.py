"""Which artifact and which backend a person gets, by what he names and what his request needs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import pajamas
from pajamas.errors import ModelNotFound, Unsupported, UnsupportedFeature, UsageError
from pajamas.operations.converted import receipts_of as converted
from pajamas.operations.loading import select
from pajamas.plugins import PluginHost
from pajamas.source import parse_source
from pajamas.types import Artifact
from plugin_dists import backend_source, write_dist

TINY = Path(__file__).parents[1] / "plugins/tiny/src/pajamas_tiny/model"
PLAIN = {"prompt": "What is 2+2?", "temperature": 0, "mode": "non-thinking"}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A model store with two artifacts of `tiny`."""
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAJAMAS_MODELS", str(folder))
        pajamas.run("convert", model="tiny", precision="q4_k")
        pajamas.run("convert", model="tiny", formats="gguf", precision="q8_0", threads=1)
        yield folder


def test_another_name_of_a_scheme_is_the_scheme(store):
    receipt, _ = pajamas.run("list").models[:2]

    assert receipt.path.name == "tiny-q4_k_m.gguf"
    assert receipt.scheme == "Q4_K_M"


def test_a_scheme_after_the_name_picks_the_artifact(store):
    for name in ("tiny:q8_0", f"{store}/tiny:Q8_0"):
        with pajamas.Runtime(name) as model:
            assert model.artifact.path.name == "tiny-q8_0.gguf"


def test_without_a_scheme_the_error_names_both_as_they_can_be_typed(store):
    with pytest.raises(UsageError) as caught:
        pajamas.run("generate", model="tiny", **PLAIN)

    assert "tiny:q4_k_m, tiny:q8_0" in caught.value.fix


def test_a_scheme_that_was_not_made_says_how_to_make_it(store):
    with pytest.raises(ModelNotFound) as caught:
        pajamas.run("generate", model="tiny:q6_k", **PLAIN)

    assert "pajamas convert --model tiny --precision q6_k" in caught.value.fix


def test_a_backend_that_loads_the_model_as_it_is_needs_no_conversion(store, tmp_path, monkeypatch):
    """Where nothing that was made from it is for this backend; with a scheme it is an artifact that is meant."""
    monkeypatch.syspath_prepend(str(tmp_path))
    write_dist(tmp_path, "pajamas-asis", backend_source("asis", format="safetensors"), entry="asis")
    host = PluginHost()
    folder = select("tiny:q8_0", "gguf").artifact.path.parents[1]

    for name in ("tiny", TINY):
        assert select(name, "asis", host=host).artifact == Artifact(path=TINY, format="safetensors")
    for name in ("tiny:q8_0", folder):
        with pytest.raises(Unsupported, match="asis"):
            select(name, "asis", host=host)


def test_a_feature_that_no_chosen_backend_has_is_refused_before_loading_and_others_are_named(
    store, tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(str(tmp_path))
    write_dist(tmp_path, "pajamas-bare", backend_source("bare", format="gguf"), entry="bare")

    with pytest.raises(UnsupportedFeature) as caught:
        pajamas.run("generate", model="tiny:q8_0", backend="bare", grammar='root ::= "a"', host=PluginHost(), **PLAIN)

    assert "'bare' does not support grammar" in caught.value.what
    assert "gguf" in caught.value.fix


def test_the_reasons_name_what_the_request_needs(store):
    with pajamas.Runtime("tiny:q8_0", needs=[pajamas.Feature.GRAMMAR]) as model:
        assert any("grammar" in reason for reason in model.reasons)


def test_embeddings_and_prompt_caches_through_the_library(store, tmp_path):
    vectors = pajamas.run("embed", texts=["one", "another"], model="tiny:q8_0")
    assert vectors.shape == (2, 256)
    assert abs(float((vectors[0] ** 2).sum()) - 1) < 1e-5

    with pajamas.Runtime("tiny:q8_0") as model:
        answer = model.generate(**PLAIN)
        model.save_prompt_cache(tmp_path / "cache")
        ids = model.tokenize("Once upon a time")
        rows = sum(len(block) for block in model.score(ids))
        with pytest.raises(UnsupportedFeature, match="loaded to generate"):
            model.embed(["one"])
    assert rows == len(ids)
    with pajamas.Runtime("tiny:q8_0", embeddings=True) as model, pytest.raises(UnsupportedFeature, match="score"):
        model.score(ids)
    with pajamas.Runtime("tiny:q8_0") as model:
        assert model.load_prompt_cache(str(tmp_path / "cache")) > 0
        again = model.generate(**PLAIN)
    assert again.text == answer.text
    assert again.usage.cached_tokens > 0


def test_a_repository_with_a_scheme_means_what_was_converted_from_it(store, tmp_path, monkeypatch):
    shutil.copytree(store, tmp_path / "store")
    monkeypatch.setenv("PAJAMAS_MODELS", str(tmp_path / "store"))
    path = tmp_path / "store/tiny/manifest.json"
    record = json.loads(path.read_text())

    def made_from(text):
        for artifact in record["artifacts"]:
            artifact["source"] |= {"text": text, "repo_id": "Org/Name"}
        path.write_text(json.dumps(record))

    made_from("Org/Name")
    with pajamas.Runtime("Org/Name:q8_0") as model:
        assert model.artifact.path.name == "tiny-q8_0.gguf"
    made_from("Org/Name:BF16")  # a repository of GGUF files: there the scheme is one of its own files
    assert converted(parse_source("Org/Name:q8_0")) == []
    assert len(converted(parse_source("Org/Name"))) == 2
