"""Quantizing with an importance matrix, and the options that ask for it."""

from __future__ import annotations

import json
import os
import shutil
import struct

import numpy as np
import pytest

import pajamas
from pajamas.digests import file_digest, tensor_digest
from pajamas.errors import ModelFileError, TargetExists, UsageError
from pajamas.types import GenerateRequest, Sampling
from pajamas_gguf.imatrix.matrix import Entry, ImportanceMatrix, read_matrix, write_matrix
from pajamas_gguf.quantize.pipeline import quantize
from quantize_jobs import TINY, Recorded, header_of, make_job, types_of


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """IQ2_XXS of the bundled model, calibrated with 40 conversations: job, artifact, progress."""
    progress = Recorded()
    output = tmp_path_factory.mktemp("made") / "tiny-iq2_xxs.gguf"
    job = make_job(TINY, output, "IQ2_XXS", calibration_samples=40, keep_imatrix=True, progress=progress)
    return job, quantize(job), progress


def test_a_scheme_that_needs_it(made):
    job, artifact, progress = made
    kept = job.output.with_name("tiny-imatrix.gguf")

    assert "IQ2_XXS" in types_of(job.output).values()
    assert sorted(os.listdir(job.output.parent)) == [kept.name, job.output.name]
    record = artifact.details["calibration"]
    assert (record["corpus"], record["samples"], record["source"]) == ("calibration.jsonl", 40, "text")
    assert record["tokens"] == record["chunks"] * 512 == read_matrix(kept).chunks * 512
    assert record["imatrix_sha256"] == file_digest(kept)
    assert ["Computing the importance matrix", record["chunks"], "windows", record["chunks"]] in [
        stage[:4] for stage in progress.stages
    ]


def test_a_ready_matrix_makes_the_same(made, tmp_path):
    job, _, _ = made
    kept = job.output.with_name("tiny-imatrix.gguf")

    again = quantize(make_job(TINY, tmp_path / "again.gguf", "IQ2_XXS", imatrix=kept))

    assert file_digest(again.path) == file_digest(job.output)
    assert again.details["calibration"]["imatrix_sha256"] == file_digest(kept)


def test_the_matrix_changes_the_weights(made, tmp_path):
    kept = made[0].output.with_name("tiny-imatrix.gguf")
    plain = quantize(make_job(TINY, tmp_path / "plain.gguf", "Q2_K"))
    weighted = quantize(make_job(TINY, tmp_path / "weighted.gguf", "Q2_K", imatrix=kept))

    assert types_of(plain.path) == types_of(weighted.path)
    assert file_digest(plain.path) != file_digest(weighted.path)
    assert "calibration" not in plain.details


def test_without_one_the_scheme_is_refused_and_its_size_told(made, tmp_path):
    with pytest.raises(UsageError, match=r"(?s)IQ2_XXS needs an importance matrix.*--calibration-samples"):
        quantize(make_job(TINY, tmp_path / "out.gguf", "iq2_xxs"))

    planned = quantize(make_job(TINY, tmp_path / "out.gguf", "iq2_xxs", dry_run=True))

    assert planned.size < made[1].size < planned.size + 1000  # that tells of its matrix in the metadata
    assert any("needs an importance matrix" in note for note in planned.notes)
    assert os.listdir(tmp_path) == []


def test_the_file_tells_of_its_matrix(made, tmp_path):
    """As llama-quantize writes it; the size is planned to the byte, and the tensors' digest does not change."""
    job, artifact, _ = made
    told = {key: value for key, value in header_of(job.output).metadata.items() if "imatrix" in key}
    entries = len(read_matrix(job.output.with_name("tiny-imatrix.gguf")).entries)

    assert told == {
        "quantize.imatrix.file": "tiny-imatrix.gguf", "quantize.imatrix.dataset": "calibration.jsonl",
        "quantize.imatrix.entries_count": entries,
        "quantize.imatrix.chunks_count": artifact.details["calibration"]["chunks"],
    }  # fmt: skip
    planned = quantize(make_job(TINY, tmp_path / "out.gguf", "iq2_xxs", dry_run=True, calibration_samples=40))
    assert planned.size == artifact.size

    renamed = shutil.copyfile(job.output.with_name("tiny-imatrix.gguf"), tmp_path / ("ü" * 80 + ".gguf"))
    again = quantize(make_job(TINY, tmp_path / "out.gguf", "iq2_xxs", imatrix=renamed))
    assert header_of(again.path).metadata["quantize.imatrix.file"] == "ü" * 63
    assert tensor_digest(again.path) == tensor_digest(job.output)
    assert file_digest(again.path) != file_digest(job.output)


def matrix_file(path, **entries):
    matrix = ImportanceMatrix(
        entries={name: Entry(np.ones((1, size), np.float32), np.ones(1, np.float32)) for name, size in entries.items()}
    )
    write_matrix(path, matrix)
    return path


def test_options_that_cannot_be_honoured(tmp_path):
    output, text = tmp_path / "out.gguf", tmp_path / "text.txt"
    text.write_text("Some words. " * 500)
    ready = matrix_file(tmp_path / "m.gguf", x=4)
    before = sorted(os.listdir(tmp_path))
    for scheme, options, message in (
        ("Q8_0", {"calibration_samples": 4}, "no effect on Q8_0"),
        ("BF16", {"imatrix": ready}, "--imatrix has no effect on BF16"),
        ("Q4_K_M", {"imatrix": ready, "calibration_samples": 4}, "contradict"),
        ("Q4_K_M", {"imatrix": ready, "keep_imatrix": True}, "--keep-imatrix has no effect"),
        ("Q4_K_M", {"keep_imatrix": True}, "nothing to keep"),
        ("Q4_K_M", {"calibration_samples": 0}, "makes no sense"),
        ("Q4_K_M", {"calibration_text": tmp_path / "none.txt"}, "cannot be read"),
        ("Q4_K_M", {"imatrix": ready}, "another model's importance matrix"),
    ):
        with pytest.raises(UsageError, match=message):
            quantize(make_job(TINY, output, scheme, **options))
    with pytest.raises(ModelFileError, match="no importance matrix"):
        quantize(make_job(TINY, output, imatrix=text))
    assert sorted(os.listdir(tmp_path)) == before


def test_another_models_matrix(tmp_path):
    wrong = matrix_file(tmp_path / "m.gguf", **{"blk.0.attn_q.weight": 4})

    for dry_run in (True, False):
        with pytest.raises(UsageError, match="4 values for a tensor of shape"):
            quantize(make_job(TINY, tmp_path / "out.gguf", imatrix=wrong, dry_run=dry_run))


@pytest.mark.parametrize("scheme", ["IQ3_XXS", "IQ1_S"])
def test_a_matrix_that_lacks_a_tensor(scheme, made, tmp_path):
    """As matrices of the older format do that left out experts which were never reached."""
    whole = read_matrix(made[0].output.with_name("tiny-imatrix.gguf"))
    entries = {name: entry for name, entry in whole.entries.items() if name != "blk.2.ffn_up.weight"}
    write_matrix(tmp_path / "m.gguf", ImportanceMatrix(entries=entries, chunk_size=512))

    with pytest.raises(UsageError, match=r"blk\.2\.ffn_up\.weight cannot be IQ"):
        quantize(make_job(TINY, tmp_path / "out.gguf", scheme, imatrix=tmp_path / "m.gguf"))
    made = quantize(make_job(TINY, tmp_path / "out.gguf", "Q4_K_M", imatrix=tmp_path / "m.gguf"))
    assert "quantize.imatrix.chunks_count" not in header_of(made.path).metadata


def test_a_type_that_the_engine_aborts_at(made, tmp_path):
    """The embedding never has an entry."""
    kept = made[0].output.with_name("tiny-imatrix.gguf")
    types = (("token_embd", "iq2_xxs"),)

    with pytest.raises(UsageError, match=r"token_embd\.weight cannot be IQ2_XXS"):
        quantize(make_job(TINY, tmp_path / "out.gguf", imatrix=kept, tensor_types=types))


def test_the_text_that_judges_may_not_calibrate(tmp_path):
    lines = (TINY / "eval.jsonl").read_text(encoding="utf-8").splitlines()
    contents = [message["content"] for line in lines for message in json.loads(line)["messages"]]
    other = [f"Line {number} of a text that nobody judges by." for number in range(1000)]
    for name, text in (
        ("eval.jsonl", "\n".join(lines)),
        ("part.jsonl", "\n".join(lines[100:150])),
        ("renamed.txt", "\n".join(contents)),
        ("mixed.txt", "\n".join(contents + other)),
    ):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        with pytest.raises(UsageError, match="it is the evaluation text, or holds it"):
            quantize(make_job(TINY, tmp_path / "out.gguf", calibration_text=path))


def test_a_plain_text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("\n".join(f"Line {number} of a text that nobody judges by." for number in range(400)))

    made = quantize(make_job(TINY, tmp_path / "out.gguf", calibration_text=path, calibration_samples=3))

    record = made.details["calibration"]
    assert (record["samples"], record["chunks"], record["tokens"]) == (3, 3, 1536)


@pytest.mark.parametrize("text", ["{", '{"messages": []}', '{"messages": [{"content": 5}]}', "[]"])
def test_texts_that_do_not_read(text, tmp_path):
    path = tmp_path / "text.jsonl"
    path.write_text(text)

    with pytest.raises(ModelFileError, match=r"text\.jsonl cannot be calibrated with"):
        quantize(make_job(TINY, tmp_path / "out.gguf", calibration_text=path))


class _Interrupt(Recorded):
    """Ctrl-C while the matrix is computed."""

    def advance(self, amount, note=""):
        super().advance(amount, note)
        if self.stages[-1][2] == "windows":
            raise KeyboardInterrupt


def test_ctrl_c_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        quantize(make_job(TINY, tmp_path / "out.gguf", calibration_samples=600, progress=_Interrupt()))

    assert os.listdir(tmp_path) == []


def test_a_kept_matrix_replaces_nothing_unasked(tmp_path):
    (tmp_path / "tiny-imatrix.gguf").write_text("mine")

    with pytest.raises(TargetExists):
        quantize(make_job(TINY, tmp_path / "out.gguf", calibration_samples=40, keep_imatrix=True))

    assert os.listdir(tmp_path) == ["tiny-imatrix.gguf"]


def test_a_matrix_of_the_older_format(made, tmp_path):
    """As other people's often are."""
    kept = made[0].output.with_name("tiny-imatrix.gguf")
    found = read_matrix(kept)
    with (tmp_path / "m.dat").open("wb") as stream:
        stream.write(struct.pack("<i", len(found.entries)))
        for name, entry in found.entries.items():
            values = entry.means().ravel() * np.float32(8)
            stream.write(struct.pack("<i", len(name)) + name.encode() + struct.pack("<ii", 8, values.size))
            stream.write(values.tobytes())
        stream.write(struct.pack("<ii", found.chunks, 5) + b"a.txt")

    old = quantize(make_job(TINY, tmp_path / "old.gguf", "Q2_K_S", imatrix=tmp_path / "m.dat"))

    new = quantize(make_job(TINY, tmp_path / "new.gguf", "Q2_K_S", imatrix=kept))
    assert tensor_digest(old.path) == tensor_digest(new.path)
    assert old.details["calibration"]["datasets"] == ["a.txt"]
    assert header_of(old.path).metadata["quantize.imatrix.dataset"] == "a.txt"


@pytest.mark.parametrize("scheme", ["IQ1_S", "IQ2_XXS", "IQ3_XXS"])
def test_the_smallest_schemes_run(scheme, made, tmp_path, load_session):
    path = made[0].output
    if scheme != made[0].scheme:
        path = quantize(make_job(TINY, tmp_path / "out.gguf", scheme, calibration_samples=40)).path

    assert scheme in types_of(path).values()
    session = load_session(path, context_length=256)
    request = GenerateRequest(prompt="Hello", max_tokens=8, sampling=Sampling(temperature=0), ignore_eos=True)
    assert list(session.generate(request))[-1].usage.completion_tokens == 8
    session.close()


def test_a_few_samples_are_too_short_and_not_the_evaluation_text(tmp_path):
    with pytest.raises(UsageError, match="too short"):
        pajamas.run("convert", model=TINY, output=tmp_path / "out", precision="q4_k_m", calibration_samples=2)
