"""From a repository of a (fake) Hub to a measured artifact, and again without the network."""

from __future__ import annotations

import json
from pathlib import Path

import cliprogram
import pajamas_tiny
from fakehub import FakeHub

MODEL = Path(pajamas_tiny.__file__).parent / "model"
HUB_FILES = (
    "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    "chat_template.jinja", "vocab.json", "merges.txt",
)  # fmt: skip


def test_a_hub_model_is_converted_and_proven_and_verified_offline(tmp_path):
    text = tmp_path / "held-out.jsonl.txt"
    text.write_text("\n\n".join(_conversations()), encoding="utf-8")
    files = {name: (MODEL / name).read_bytes() for name in HUB_FILES if (MODEL / name).is_file()}
    out = tmp_path / "out"
    with FakeHub() as hub:
        hub.add("Org/Small", files)
        online = hub.environment(tmp_path, HF_HUB_OFFLINE="0")
        done = cliprogram.run(
            "convert", "--model", "Org/Small", "--precision", "q8_0", "--validate",
            "--validation-text", text, "--validation-windows", "4", "--output", out, home=tmp_path, **online,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        fetched = hub.sent("model.safetensors")
        offline = {**online, "HF_HUB_OFFLINE": "1"}
        checked = cliprogram.run("verify", "--deep", out, home=tmp_path, **offline)
        quick = cliprogram.run(
            "validate", "-q", out / "gguf/small-q8_0.gguf", "--original", "Org/Small", "--text", text, "--windows", "2",
            "--metrics", "kld", home=tmp_path, **offline,
        )  # fmt: skip

    assert checked.returncode == 0, checked.stdout.decode()
    assert quick.returncode in (0, 6), quick.stderr.decode()
    assert fetched < 2 * len(files["model.safetensors"])  # once: the original was made of the same download
    receipt = json.loads((out / "manifest.json").read_text())["artifacts"][0]
    assert receipt["source"]["repo_id"] == "Org/Small"
    assert receipt["validation"]["metrics"]["perplexity-original"]["details"]["model"] == "BF16"


def _conversations():
    for line in (MODEL / "eval.jsonl").read_text(encoding="utf-8").splitlines():
        yield "\n".join(message["content"] for message in json.loads(line)["messages"])
