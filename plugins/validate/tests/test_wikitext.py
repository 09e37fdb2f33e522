"""`--dataset wikitext2` with the real text: fetched through the command, kept, and refused when it is damaged."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from dataset_hub import PATH, dataset_hub

from pajamas_validate.datasets import DATASETS

DATASET = DATASETS["wikitext2"]
TEXT_SHA256 = "1fac759f5d0b026fe6a123d00ddd31ec88458a0284f72bdf5c0adf164b789e18"
"""Of what llama-perplexity reads of the file: all but the newline at its end."""
FILE = Path(__file__).parents[4] / "shared/data/wikitext-2/wiki.test.raw"


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    if not FILE.is_file() or hashlib.sha256(FILE.read_bytes()).hexdigest() != DATASET.sha256:
        pytest.skip("../shared/data/wikitext-2/wiki.test.raw is not here")
    path = tmp_path_factory.mktemp("wikitext") / DATASET.file
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as opened:
        opened.write(FILE, DATASET.member)
    return path.read_bytes()


@pytest.fixture
def measure(tiny_gguf):
    """The command, in a process of its own: huggingface_hub reads its environment when it is imported."""

    def run(environment):
        pajamas = [sys.executable, "-c", "from pajamas.cli.main import main; main()"]
        options = ["--alone", "--metrics", "perplexity", "--dataset", "wikitext2", "--windows", "2", "--json"]
        command = [*pajamas, "validate", "-q", str(tiny_gguf("q4_k_m")), *options]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return run


def test_it_is_fetched_once_and_measured_offline_from_then_on(archive, measure, tmp_path):
    with dataset_hub(archive, tmp_path) as (environment, asked):
        first = measure(environment)
    second = measure(environment | {"HF_HUB_OFFLINE": "1"})

    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert asked == [f"HEAD {PATH}", f"HEAD {PATH}", f"GET {PATH}"]  # the first asks whether there is a network
    figures, again = (json.loads(done.stdout)["findings"][0] for done in (first, second))
    assert figures["value"] == again["value"] > 1
    assert figures["details"]["text"] == "wikitext2"
    assert figures["details"]["text_sha256"] == TEXT_SHA256


@pytest.mark.parametrize("damage", ["cut", "another text"])
def test_a_damaged_archive_is_refused_and_named(archive, measure, tmp_path, damage):
    other = archive[: len(archive) // 2]
    if damage == "another text":
        with zipfile.ZipFile(tmp_path / "other.zip", "w") as opened:
            opened.writestr(DATASET.member, "another text\n" * 1000)
        other = (tmp_path / "other.zip").read_bytes()
    with dataset_hub(other, tmp_path) as (environment, _):
        done = measure(environment)

    assert done.returncode not in (0, 5, 6)
    assert not done.stdout
    assert DATASET.file in done.stderr and "Delete it" in done.stderr
    assert "Traceback" not in done.stderr
