"""The whole way of a job: child process, work folder, final name, receipt."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest

from mlx_jobs import TINY, WIDE, config_of, made, make_job, written
from pajamas.core import run
from pajamas.errors import (
    EngineCrashed,
    ModelNotFound,
    NotEnoughDisk,
    PajamasError,
    TargetExists,
    UnsupportedModel,
    UsageError,
)
from pajamas.manifest import read
from pajamas.modelfiles import LocalFiles
from pajamas.operations.loading import select
from pajamas_mlx.quantize import pipeline, runner
from pajamas_mlx.quantize.pipeline import quantize
from random_models import make_model


class FarFiles(LocalFiles):
    """A fake of files on the Hub: none is here, and only what is read is counted."""

    read_bytes = 0

    def local_path(self, name):
        return None

    def read(self, name, offset=0, length=None):
        path = self._root / name
        with path.open("rb") as stream:
            stream.seek(offset)
            data = stream.read() if length is None else stream.read(length)
        self.read_bytes += len(data)
        return data


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A folder with the receipt of a conversion."""
    folder = tmp_path_factory.mktemp("mixed")
    run("convert", model=TINY, output=folder, formats="mlx", precision="4bit", mixed_precision=True)
    return folder


def test_a_receipt_says_how_it_was_made(mixed):
    (receipt,) = read(mixed).artifacts
    assert receipt.size == written(mixed / "mlx")
    assert receipt.bits_per_weight == 8 * receipt.size / 4197120
    assert receipt.tensor_types == {"4bit g64": 28, "6bit g64": 1, "bfloat16": 17}
    assert receipt.options == {"mixed_precision": True}
    assert receipt.details["quantization"] == {"bits": 4, "group_size": 64, "mode": "affine", "embedding_bits": 6}
    assert receipt.details["next_recipe"] == "4bit"
    assert receipt.details["engine"].keys() == {"name", "mlx", "mlx-lm"}
    assert run("verify", path=mixed).ok


def test_a_further_scheme_stands_beside_the_first_and_is_found_by_its_name(tmp_path):
    folder = tmp_path / "two"
    run("convert", model=TINY, output=folder, formats="mlx", precision="4bit")
    with pytest.raises(ModelNotFound, match="--formats mlx --precision 6bit --output") as raised:
        select(f"{folder}:6bit", "mlx")
    assert f"--model {TINY}" in raised.value.fix

    for _ in range(2):  # the second time in its own place
        run("convert", model=TINY, output=folder, formats="mlx", precision="6bit", force=True)

    assert [receipt.path for receipt in read(folder).artifacts] == ["mlx", "mlx-6bit"]
    assert select(f"{folder}:6bit", "mlx").artifact.path == folder / "mlx-6bit"
    assert select(f"{folder}:4bit", "mlx").artifact.path == folder / "mlx"
    assert run("verify", path=folder).ok
    with pytest.raises(TargetExists, match="mlx-6bit"):
        run("convert", model=TINY, output=folder, formats="mlx", precision="6bit")


def test_the_raised_layers_and_their_text_stand_in_the_receipt(tmp_path):
    result = run(
        "convert", model=TINY, output=tmp_path, formats="mlx", precision="4bit", target_bpw=5.3, calibration_samples=20
    )

    (receipt,) = result.receipts
    assert set(receipt.details["raised"].values()) <= {5, 6, 8}
    assert receipt.details["calibration"]["samples"] == 20
    assert len(receipt.details["calibration"]["corpus_sha256"]) == 64
    assert receipt.details["calibration"]["tokens"] > 500
    assert any("raised" in note for note in receipt.notes)
    assert config_of(tmp_path / "mlx")["quantization"].keys() > receipt.details["raised"].keys()


def test_a_dry_run_reads_headers_alone_and_writes_nothing(tmp_path):
    model = make_model("Llama-3.1-8B-Instruct", tmp_path / "a")
    job = make_job(model, tmp_path / "out" / "mlx", "8bit", dry_run=True, contexts=(256, 512, 1024))
    from attrs import evolve

    far = FarFiles(model)
    artifact = quantize(evolve(job, files=far))

    assert far.read_bytes < 300_000 < written(model)  # headers come with a window of 256 KiB
    assert not (tmp_path / "out").exists()
    # 2 layers of keys and values, one head of 128, bfloat16
    assert artifact.memory[1024] - artifact.memory[512] > 512 * 2 * 2 * 128 * 2
    assert artifact.size == quantize(make_job(model, tmp_path / "b", "8bit")).size == written(tmp_path / "b")


def test_a_dry_run_of_a_measured_allocation_names_the_most(tmp_path):
    artifact = quantize(make_job(TINY, tmp_path / "out", target_bpw=5.5, dry_run=True))

    assert artifact.size <= 5.5 * artifact.parameters / 8
    assert any("most that it may be" in note for note in artifact.notes)


@pytest.mark.parametrize("name", ["kept", "replaced"])
def test_force_replaces_and_nothing_else_does(tmp_path, name):
    target = tmp_path / "mlx"
    quantize(make_job(TINY, target, "8bit"))
    before = written(target)
    (target / "mine.txt").write_text("x", encoding="utf-8")

    if name == "kept":
        with pytest.raises(TargetExists):
            quantize(make_job(TINY, target, "2bit"))
        assert written(target) == before
    else:
        quantize(make_job(TINY, target, "2bit", force=True))
        assert written(target) < before
        assert not (target / "mine.txt").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["mlx"]


def test_what_is_no_model_folder_is_never_replaced(tmp_path):
    (tmp_path / "mlx").mkdir()
    (tmp_path / "mlx/thesis.txt").write_text("x", encoding="utf-8")

    with pytest.raises(UsageError, match="no model folder"):
        quantize(make_job(TINY, tmp_path / "mlx", "2bit", force=True))
    assert (tmp_path / "mlx/thesis.txt").exists()


def test_the_source_is_never_replaced(tmp_path):
    model = make_model("Qwen3-0.6B", tmp_path)

    for output in (model, tmp_path):
        with pytest.raises(UsageError, match="holds the source"):
            quantize(make_job(model, output, "8bit", force=True))
    assert written(model)


def test_a_failing_job_leaves_nothing(tmp_path):
    model = make_model("gte-Qwen2-1.5B", tmp_path)

    with pytest.raises(UnsupportedModel, match="output layer"):
        run("convert", model=model, output=tmp_path / "out" / "deeper", formats="mlx", precision="8bit")
    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_told_before_the_work(tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 1 << 20})
    monkeypatch.setattr(pipeline.shutil, "disk_usage", lambda path: usage)

    with pytest.raises(NotEnoughDisk, match="not enough space"):
        quantize(make_job(TINY, tmp_path / "out" / "mlx", "8bit"))
    assert list((tmp_path / "out").iterdir()) == []


def test_a_child_that_dies_is_an_error_with_its_last_words(tmp_path, monkeypatch):
    """A Metal assertion aborts the process it is in: the parent must outlive that."""
    (tmp_path / "dies.py").write_text(
        "import os, sys\nprint('assertion failed', file=sys.stderr, flush=True)\nos.abort()\n", encoding="utf-8"
    )
    monkeypatch.setattr(runner, "CHILD", [sys.executable, str(tmp_path / "dies.py")])

    with pytest.raises(EngineCrashed, match="SIGABRT") as raised:
        quantize(make_job(TINY, tmp_path / "out" / "mlx", "8bit"))
    assert "assertion failed" in raised.value.why
    assert list((tmp_path / "out").iterdir()) == []


_CONVERT = """
import sys, pajamas
pajamas.run("convert", model=sys.argv[1], output=sys.argv[2], formats="mlx", precision="8bit")
"""


@pytest.mark.parametrize("moment", [".pajamas-work-*", ".*/made/*"])
def test_a_killed_run_leaves_nothing_under_the_name_and_the_next_one_cleans(tmp_path, moment):
    for number in range(5):
        folder = tmp_path / str(number)
        with subprocess.Popen([sys.executable, "-P", "-c", _CONVERT, str(TINY), str(folder)], stdout=-1) as child:
            while child.poll() is None and not list(folder.glob(moment)):
                time.sleep(0.002)
            child.send_signal(signal.SIGKILL)
        if not (folder / "mlx").exists():  # else it was complete before the signal came
            break
    assert list(folder.glob(".pajamas-work-*"))

    quantize(make_job(TINY, folder / "mlx", "8bit"))

    assert [path.name for path in folder.iterdir()] == ["mlx"]


def test_memory_holds_one_layer_and_not_the_model(tmp_path):
    """Each layer is written before the next one is computed: never more than the largest is evaluated at once."""
    import mlx.core as mx

    model = make_model("wide", tmp_path, {"config": WIDE, "shards": 4})
    size = written(model)
    mx.clear_cache()
    before = mx.get_active_memory()
    mx.reset_peak_memory()

    made(model, tmp_path / "a", "8bit")

    assert mx.get_peak_memory() - before < size / 10


def test_errors_of_a_hook_call_are_pajamas_own(tmp_path):
    with pytest.raises(PajamasError, match="q17"):
        quantize(make_job(TINY, tmp_path / "out", "q17"))


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("size", {"size": 1}),
        ("parameters", {"parameters": 4197121}),
        ("bits per weight", {"bits_per_weight": 4.0}),
        ("tensor types", {"tensor_types": {"4bit g64": 29, "bfloat16": 17}}),
    ],
)
def test_verify_counts_again_what_a_receipt_says(mixed, what, change):
    manifest = json.loads((mixed / "manifest.json").read_text(encoding="utf-8"))
    manifest["artifacts"][0] |= change
    sound = (mixed / "manifest.json").read_text(encoding="utf-8")
    (mixed / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")

    result = run("verify", path=mixed)

    (mixed / "manifest.json").write_text(sound, encoding="utf-8")
    assert [check.what for check in result.checks if not check.ok] == [what]
