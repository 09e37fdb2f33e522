"""Datasets: read from a zip archive, checked by digest, found in the Hub's cache without the network."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile

import pytest
from attrs import evolve
from dataset_hub import PATH, dataset_hub

from pajamas.errors import ChecksumMismatch, ModelFileError, NotCached, UsageError
from pajamas_validate import datasets
from pajamas_validate.datasets import DATASETS, read_dataset, read_member

TEXT = "= Title =\n\n A line .\n"


@pytest.fixture
def small(monkeypatch):
    """wikitext2 with the digest of a small text in its place."""
    dataset = evolve(DATASETS["wikitext2"], sha256=hashlib.sha256(TEXT.encode()).hexdigest())
    monkeypatch.setitem(datasets.DATASETS, "wikitext2", dataset)
    return dataset


def write_archive(path, dataset, text=TEXT):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(dataset.member, text)
    return path


def test_the_text_is_read_but_for_its_last_newline(small, tmp_path, monkeypatch):
    cache = tmp_path / "hub"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    folder = cache / "datasets--ggml-org--ci" / "snapshots" / small.revision
    write_archive(folder / small.file, small)

    assert read_dataset("wikitext2") == TEXT.removesuffix("\n")


def test_offline_and_not_fetched_before_the_error_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    with pytest.raises(NotCached, match=r"wikitext-2-raw-v1\.zip") as caught:
        read_dataset("wikitext2")

    assert "--text FILE" in caught.value.fix


def test_another_text_in_the_archive_is_refused(small, tmp_path):
    archive = write_archive(tmp_path / "a.zip", small, TEXT + "more")

    with pytest.raises(ChecksumMismatch, match=r"wiki\.test\.raw"):
        read_member(archive, small)


@pytest.mark.parametrize("damage", ["missing", "no archive", "no member", "cut", "flipped"])
def test_a_damaged_archive_is_named(small, tmp_path, damage):
    path = write_archive(tmp_path / "a.zip", small, TEXT * 100)
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "no archive":
        path.write_text("<html>")
    elif damage == "no member":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("other", TEXT)
    elif damage == "cut":
        path.write_bytes(data[:-30])
    else:
        start = len(small.member) + 30  # of the compressed bytes
        path.write_bytes(data[:start] + b"\xff" * 20 + data[start + 20 :])

    with pytest.raises(ModelFileError, match=r"a\.zip"):
        read_member(path, small)


def test_an_unknown_dataset_is_refused():
    with pytest.raises(UsageError, match="'c4'"):
        read_dataset("c4")


_FETCH = """
import sys
from attrs import evolve
from pajamas_validate import datasets
datasets.DATASETS["wikitext2"] = evolve(datasets.DATASETS["wikitext2"], sha256=sys.argv[1])
sys.stdout.write(datasets.read_dataset("wikitext2"))
"""


def test_it_is_fetched_once(small, tmp_path):
    archive = write_archive(tmp_path / "a.zip", small).read_bytes()
    with dataset_hub(archive, tmp_path / "home") as (environment, asked):
        # In a process of its own: huggingface_hub reads its environment when it is imported.
        runs = [
            subprocess.run(
                [sys.executable, "-c", _FETCH, small.sha256], env=environment, capture_output=True, check=True
            ).stdout
            for _ in range(2)
        ]

    assert runs == [TEXT.removesuffix("\n").encode()] * 2
    assert asked == [f"HEAD {PATH}", f"HEAD {PATH}", f"GET {PATH}"]  # the first asks whether there is a network
