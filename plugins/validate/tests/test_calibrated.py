"""The text that a model was calibrated with does not judge it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import pajamas
from pajamas.errors import UsageError
from pajamas_validate.calibrated import refuse_calibrated

TINY = Path(__file__).parents[2] / "tiny/src/pajamas_tiny/model"
LINES = [f"Line {number} of a text to calibrate with, about nothing at all." for number in range(400)]
OTHERS = [f"Line {number} of a text that is quite another one, thank you." for number in range(900)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("calibrated")


@pytest.fixture(scope="module")
def artifact(folder):
    """The bundled model, calibrated with a text."""
    text = folder / "mine.txt"
    text.write_text("\n".join(LINES) + "\n")
    return convert(folder / "text", calibration_text=text, calibration_samples=3)


def convert(output, **options):
    return pajamas.run("convert", model="tiny", output=output, precision="q4_k_m", **options).gguf_path


def validate(artifact, text):
    return pajamas.run(
        "validate", quantized=artifact, alone=True, metrics="perplexity", text=text, options={"windows": 1}
    )


@pytest.mark.parametrize(
    "lines",
    [
        LINES,
        LINES[150:],
        ["  " + line.replace(" ", "  ") for line in LINES],
        LINES + OTHERS,
        LINES[:390] + OTHERS[:300],
        [json.dumps({"messages": [{"role": "user", "content": line}]}) for line in LINES],
    ],
    ids=["same", "part", "spaces", "mixed", "mostly", "conversations"],
)
def test_it_is_refused(lines, artifact, tmp_path):
    path = tmp_path / "renamed.txt"
    path.write_text("\n".join(lines))

    with pytest.raises(UsageError, match=r"renamed\.txt cannot judge .*: it was calibrated with it"):
        validate(artifact, path)


def test_another_text_is_not(artifact, tmp_path):
    path = tmp_path / "other.txt"
    path.write_text("\n".join(OTHERS[:100] + LINES[:40]))

    assert validate(artifact, path).finding("perplexity").value > 1


def test_the_models_own_calibration_text(folder):
    """Read as validate reads it: calibrated with conversations, judged by the file that holds them."""
    made = convert(folder / "own", calibration_samples=60)

    with pytest.raises(UsageError, match=r"calibration\.jsonl cannot judge"):
        validate(made, TINY / "calibration.jsonl")
    assert validate(made, None).finding("perplexity").value > 1  # by its eval.jsonl


def test_a_dataset(folder, monkeypatch):
    """A stand-in for WikiText-2, which is not here: only what is fetched is another text."""
    text = folder / "wiki.test.raw"
    text.write_text("\n".join(OTHERS))
    made = convert(folder / "dataset", calibration_text=text, calibration_samples=3)
    for module in ("datasets", "texts"):
        monkeypatch.setattr(f"pajamas_validate.{module}.read_dataset", lambda name: "\n".join(OTHERS))

    with pytest.raises(UsageError, match="wikitext2 cannot judge"):
        pajamas.run("validate", quantized=made, alone=True, metrics="perplexity", options={"dataset": "wikitext2"})


@pytest.mark.parametrize(
    ("record", "name", "refused"),
    [
        ({"datasets": ["/data/wiki.test.raw"]}, "wikitext2", True),
        ({"datasets": ["C:\\texts\\Mine.txt"]}, "mine.txt", True),
        ({"datasets": ["other.txt", 5]}, "mine.txt", False),
        ({"datasets": None, "corpus_lines": "damaged"}, "mine.txt", False),
        ({"corpus_sha256": "3e6b4d3c9b", "corpus_lines": {"lines": -1}}, "mine.txt", False),
        ("damaged", "mine.txt", False),
        (None, "mine.txt", False),
    ],
)
def test_what_receipts_say(record, name, refused, artifact, folder, tmp_path):
    copy = shutil.copytree(folder / "text", tmp_path / "copy")
    content = json.loads((copy / "manifest.json").read_text())
    content["artifacts"][0]["details"]["calibration"] = record
    (copy / "manifest.json").write_text(json.dumps(content))
    path = copy / artifact.relative_to(folder / "text")

    if refused:
        with pytest.raises(UsageError, match="ready importance matrix"):
            refuse_calibrated(name, "\n".join(OTHERS), path)
    else:
        refuse_calibrated(name, "\n".join(OTHERS), path)


def test_without_a_receipt_nothing_is_known(tmp_path):
    refuse_calibrated("a.txt", "text", tmp_path / "m.gguf")
