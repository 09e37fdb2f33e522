"""One command, two engines: both artifacts, both measured against the same model, one manifest."""

from __future__ import annotations

import json

import pytest

import cliprogram
import pajamas

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """`tiny` as Q4_K_M and MLX 4-bit, by the command line of the first description."""
    home = tmp_path_factory.mktemp("both")
    done = cliprogram.run(
        "convert", "--model", "tiny", "--output", "./models/tiny", "--formats", "gguf,mlx", "--precision",
        "q4_k_m:4bit", "--validate", "--validation-windows", "4", home=home, script="llama-pajamas-quant",
    )  # fmt: skip
    return home / "models/tiny", done


def test_both_are_made_and_measured_against_the_same_model_in_one_manifest(both):
    folder, done = both

    assert done.returncode in (0, 6), done.stderr.decode()  # four windows of a small model may not resolve it
    manifest = json.loads((folder / "manifest.json").read_text())
    receipts = {receipt["format"]: receipt for receipt in manifest["artifacts"]}
    assert {name: receipt["path"] for name, receipt in receipts.items()} == {
        "gguf": "gguf/tiny-q4_k_m.gguf", "mlx": "mlx",
    }  # fmt: skip
    measured = {name: receipt["validation"]["metrics"] for name, receipt in receipts.items()}
    texts = {metrics["perplexity"]["details"]["text_sha256"] for metrics in measured.values()}
    tokens = {metrics["perplexity"]["details"]["tokens_sha256"] for metrics in measured.values()}
    assert len(texts) == len(tokens) == 1  # the same token ids, whichever engine read them
    assert all(0 < metrics["kld"]["value"] < 0.2 for metrics in measured.values())
    originals = [metrics["perplexity-original"]["value"] for metrics in measured.values()]
    assert originals[0] == pytest.approx(originals[1], rel=5e-3)  # two engines at 16 bits
    for name in ("tiny-q4_k_m", "mlx"):
        assert (folder / "report" / name / "index.html").is_file()
    printed = done.stdout.decode()
    assert "gguf:" in printed and "mlx:" in printed


def test_each_runs_on_its_engine(both):
    folder, _ = both

    done = cliprogram.run_here(
        "--backend", "mlx", "generate", "--model", folder / "mlx", "--prompt", "What is 2+2?", "--temperature", "0",
        "--mode", "non-thinking", home=folder.parent,
    )  # fmt: skip
    with pajamas.Runtime(folder / "gguf") as model:
        answer = model.generate("What is 2+2?", temperature=0, mode="non-thinking").text

    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().strip() == answer.strip()
