"""`quantize` for vLLM with the real llm-compressor: what it makes, and what a killed or refused run leaves."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import pajamas
from pajamas import manifest
from pajamas.errors import EngineCrashed, TargetExists, UnsupportedModel, UsageError
from pajamas.modelfiles import LocalFiles
from pajamas.safetensors_header import read_tensors

TINY = Path(__file__).parents[2] / "tiny/src/pajamas_tiny/model"


def convert(output, model=TINY, **options):
    return pajamas.run("convert", model=model, output=output, formats="safetensors", backend="vllm", **options)


@pytest.fixture(scope="module")
def fp8(quantizer, tmp_path_factory):
    """The bundled model in FP8: (result, folder of the manifest)."""
    folder = tmp_path_factory.mktemp("fp8")
    return convert(folder, precision="fp8"), folder


def test_a_folder_of_compressed_tensors(fp8):
    result, folder = fp8
    (made,) = result.artifacts
    config = json.loads((made.path / "config.json").read_text())["quantization_config"]
    tensors = read_tensors(LocalFiles(made.path))

    assert made.path == folder / "safetensors"
    assert (config["quant_method"], config["format"]) == ("compressed-tensors", "float-quantized")
    assert tensors["model.layers.3.mlp.down_proj.weight"].dtype == "F8_E4M3"
    assert tensors["model.embed_tokens.weight"].dtype == "BF16"
    assert (made.path / "model.safetensors").stat().st_mode & 0o777 == 0o644
    for name in ("tokenizer.json", "chat_template.jinja", "generation_config.json"):
        assert (made.path / name).read_bytes() == (TINY / name).read_bytes()
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


def test_the_size_is_as_announced(fp8, tmp_path):
    (made,) = fp8[0].artifacts
    announced = convert(tmp_path, precision="fp8", dry_run=True).artifacts[0]

    assert made.size == announced.size == (made.path / "model.safetensors").stat().st_size
    assert made.tensors == announced.tensors


def test_the_receipt_says_how_it_was_made(fp8):
    _, folder = fp8
    (receipt,) = manifest.read(folder).artifacts

    assert (receipt.format, receipt.scheme, receipt.profile, receipt.backend) == ("safetensors", "fp8", "hq", "vllm")
    assert receipt.details["engine"]["llmcompressor"] == "0.14.0.1"
    assert receipt.details["quantization"] == {"preset": "FP8_DYNAMIC", "bits": 8, "method": "round to nearest"}
    assert pajamas.run("verify", path=folder).ok


def test_what_is_there_is_replaced_only_with_force(fp8, tmp_path):
    (made,) = fp8[0].artifacts
    folder = tmp_path / "out"
    shutil.copytree(fp8[1], folder)
    before = (folder / "safetensors/model.safetensors").stat().st_ino
    with pytest.raises(TargetExists):
        convert(folder, precision="fp8")
    kept = (folder / "safetensors/model.safetensors").stat().st_ino
    again = convert(folder, precision="fp8", force=True).artifacts[0]

    assert kept == before != (folder / "safetensors/model.safetensors").stat().st_ino
    assert again.size == made.size


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "options", "format"), [
    ("w4a16", {"group_size": 64}, "pack-quantized"), ("w8a8", {}, "int-quantized"),
])  # fmt: skip
def test_gptq_chooses_the_weights_by_a_text(quantizer, tmp_path, scheme, options, format):
    result = convert(tmp_path, precision=scheme, calibration_samples=24, threads=1, **options)
    (made,) = result.artifacts
    details = result.receipts[0].details
    announced = convert(tmp_path, precision=scheme, dry_run=True, force=True, **options).artifacts[0]
    config = json.loads((made.path / "config.json").read_text())["quantization_config"]

    assert config["format"] == format
    assert config["config_groups"]["group_0"]["weights"]["group_size"] == options.get("group_size")
    assert made.size == announced.size
    assert details["quantization"]["method"] == "GPTQ"
    assert details["calibration"]["corpus"] == "calibration.jsonl" and details["calibration"]["tokens"] >= 512
    assert details["calibration"]["samples"] == 24


def test_without_a_text_weights_are_rounded(quantizer, tmp_path, monkeypatch):
    """And paths may be relative, though the program works in another folder."""
    copy_without(tmp_path / "model", "calibration.jsonl")
    monkeypatch.chdir(tmp_path)
    result = convert("out", model="model", precision="w4a16")
    weights = json.loads((result.artifacts[0].path / "config.json").read_text())["quantization_config"]

    assert "rounded to the nearest" in result.artifacts[0].notes[0]
    assert result.receipts[0].details["quantization"]["method"] == "round to nearest"
    assert weights["config_groups"]["group_0"]["weights"]["observer"] == "mse"


def test_a_text_that_is_too_short_is_refused(quantizer, tmp_path):
    (tmp_path / "short.txt").write_text("Too short.")

    with pytest.raises(UsageError, match="too short") as caught:
        convert(tmp_path / "out", precision="w4a16", calibration_text=tmp_path / "short.txt")

    assert "window is 512" in caught.value.why
    assert not (tmp_path / "out").exists()


def test_layers_that_are_not_as_their_names_say_are_refused(quantizer, tmp_path):
    """The weights have a layer more than the config's model."""
    model = copy_without(tmp_path / "model", "model.safetensors")
    weights = {name: np.zeros(one.shape, np.float16) for name, one in read_tensors(LocalFiles(TINY)).items()}
    weights["model.layers.0.mlp.extra_proj.weight"] = np.zeros((256, 256), np.float16)
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})

    with pytest.raises(UnsupportedModel, match="not what its weights are called") as caught:
        convert(tmp_path / "out", model=model, precision="fp8")

    assert "model.layers.0.mlp.extra_proj" in caught.value.why
    assert not (tmp_path / "out").exists()


def test_an_engine_that_is_killed_says_so_and_leaves_nothing(quantizer, tmp_path):
    killer = threading.Thread(target=kill_child_of, args=(os.getpid(),))
    killer.start()
    with pytest.raises(EngineCrashed, match="SIGKILL"):
        convert(tmp_path / "out", precision="fp8")
    killer.join()

    assert not (tmp_path / "out").exists()


def test_a_killed_run_takes_the_engine_along(quantizer, tmp_path):
    program = (
        "import pajamas, sys\n"
        "pajamas.run('convert', model=sys.argv[1], output=sys.argv[2], formats='safetensors', backend='vllm', "
        "precision='fp8')"
    )
    run = subprocess.Popen([sys.executable, "-c", program, TINY, tmp_path / "out"], start_new_session=True)
    child = wait_for_child(run.pid)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    end = time.monotonic() + 30
    while is_alive(child):
        assert time.monotonic() < end
        time.sleep(0.05)
    left = [path.name for path in (tmp_path / "out").iterdir() if not path.name.startswith(".")]

    assert left == []
    assert convert(tmp_path / "out", precision="fp8").artifacts[0].size == 5_277_120
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["manifest.json", "safetensors"]


def copy_without(folder, *names):
    return shutil.copytree(TINY, folder, ignore=lambda _, there: [name for name in there if name in names])


def kill_child_of(parent):
    os.kill(wait_for_child(parent), signal.SIGKILL)


def wait_for_child(parent):
    """The process that runs child.py under `parent`."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for path in Path("/proc").glob("[0-9]*"):
            try:
                words = (path / "cmdline").read_bytes()
                owner = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if b"quantize/child.py" in words and owner == parent:
                time.sleep(0.5)
                return int(path.name)
        time.sleep(0.02)
    raise AssertionError("no child came")


def is_alive(pid):
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
