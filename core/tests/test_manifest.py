"""The manifest: written atomically, read strictly."""

from __future__ import annotations

import json

import pytest

from pajamas import manifest
from pajamas.errors import ModelFileError, ModelNotFound
from pajamas.manifest import Manifest, Receipt, SourceRecord
from pajamas.types import TensorInfo


def receipt(path: str = "gguf/x-q4_k_m.gguf", scheme: str = "Q4_K_M") -> Receipt:
    tensor = TensorInfo(name="output.weight", shape=(4096, 256), type="Q6_K", size=860160, wanted="Q4_K")
    return Receipt(
        format="gguf",
        scheme=scheme,
        profile="balanced",
        path=path,
        size=3,
        files={path: "ab"},
        tensor_digest="cd",
        tokenizer_digest=None,
        template_digest="ef",
        parameters=1048576,
        bits_per_weight=4.9,
        architecture=None,
        tensor_types={"Q6_K": 1},
        tensors=(tensor,),
        backend="gguf",
        engine="llama.cpp",
        engine_version="1",
        pajamas_version="0.1.0",
        plugin="pajamas-gguf 0.1.0",
        command="pajamas convert",
        created="2026-11-20T00:00:00+00:00",
        source=SourceRecord(text="Org/Name", repo_id="Org/Name", commit="0" * 40),
        notes=("a note",),
        details={"intermediate": "BF16"},
    )


def test_what_is_written_is_read(tmp_path):
    written = Manifest(name="x", artifacts=(receipt(),))

    path = manifest.write(tmp_path, written)

    assert manifest.read(path) == written == manifest.read(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["manifest.json"]


def test_a_second_receipt_is_added_and_one_of_the_same_path_replaced_in_place():
    first, other, again = receipt(), receipt("gguf/x-q6_k.gguf", "Q6_K"), receipt(scheme="Q4_K_S")

    found = Manifest(name="x").with_receipt(first).with_receipt(other).with_receipt(again)

    assert [item.scheme for item in found.artifacts] == ["Q4_K_S", "Q6_K"]


def test_fields_of_a_later_version_are_ignored(tmp_path):
    path = manifest.write(tmp_path, Manifest(name="x", artifacts=(receipt(),)))
    data = json.loads(path.read_text())
    data["later"] = data["artifacts"][0]["later"] = 1
    path.write_text(json.dumps(data))

    assert manifest.read(path).artifacts == (receipt(),)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"schema": "1"}',
        '{"schema": 1}',
        '{"schema": 1, "name": "x", "artifacts": [{"format": 1}]}',
        "\0",
    ],
)
def test_a_damaged_manifest_is_an_error_of_ours(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)

    with pytest.raises(ModelFileError):
        manifest.read(tmp_path)


def test_a_newer_schema_is_refused_by_its_number(tmp_path):
    (tmp_path / "manifest.json").write_text('{"schema": 2}')

    with pytest.raises(ModelFileError, match="schema 2"):
        manifest.read(tmp_path)


def test_no_manifest(tmp_path):
    with pytest.raises(ModelNotFound):
        manifest.read(tmp_path)


def test_a_write_that_fails_leaves_the_old_one(tmp_path, monkeypatch):
    manifest.write(tmp_path, Manifest(name="old"))

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        manifest.write(tmp_path, Manifest(name="new"))

    assert manifest.read(tmp_path).name == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["manifest.json"]


def test_a_receipt_is_found_from_its_artifact(tmp_path):
    artifact = tmp_path / "gguf" / "x-q4_k_m.gguf"
    artifact.parent.mkdir()
    artifact.touch()
    manifest.write(tmp_path, Manifest(name="x", artifacts=(receipt(),)))

    assert manifest.find_receipt(artifact) == (tmp_path, receipt())
    assert manifest.find_receipt(tmp_path / "gguf" / "other.gguf") is None
