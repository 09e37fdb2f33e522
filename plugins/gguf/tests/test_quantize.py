"""Quantization of the bundled model by the real engine."""

from __future__ import annotations

import importlib.util
import os

import attrs
import pytest

from pajamas.architecture import detect_architecture
from pajamas.errors import EngineMissing, NotEnoughDisk, TargetExists, UnsupportedFeature, UsageError
from pajamas.modelfiles import LocalFiles
from pajamas_gguf.quantize.pipeline import quantize
from pajamas_gguf.schemes import CALIBRATED, SCHEMES
from quantize_jobs import TINY, Recorded, header_of, make_job, types_of, write_llama

QUICK = ("Q8_0", "Q4_K_M", "IQ4_XS")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_llama(tmp_path_factory.mktemp("source") / "llama.gguf", width=256, tied=False)


def test_from_hugging_face_files(tmp_path):
    progress, output = Recorded(), tmp_path / "out/gguf/tiny-q4_k_m.gguf"
    architecture = detect_architecture(LocalFiles(TINY))

    artifact = quantize(
        make_job(TINY, output, "q4_k_m", progress=progress, contexts=(4096,), architecture=architecture)
    )

    assert (artifact.path, artifact.format, artifact.scheme) == (output, "gguf", "Q4_K_M")
    assert artifact.size == output.stat().st_size
    assert artifact.parameters == architecture.parameters
    assert artifact.bits_per_weight == 8 * artifact.size / artifact.parameters
    assert {tensor.name: tensor.type for tensor in artifact.tensors} == types_of(output)
    assert artifact.architecture == detect_architecture(LocalFiles(output))
    assert artifact.memory[4096] > artifact.size
    assert header_of(output).metadata["general.file_type"] == SCHEMES["Q4_K_M"].ftype
    assert artifact.details["types"]["Q6_K"]["tensors"] == 5
    assert artifact.details["conversion"]["dtype"] == "BF16"
    # The hidden work folder with the 16-bit file is gone.
    assert os.listdir(output.parent) == [output.name]
    converting, quantizing = progress.stages
    assert converting[1] == converting[3]
    assert quantizing[:4] == ["Quantizing to Q4_K_M", len(artifact.tensors), "tensors", len(artifact.tensors)]
    assert "token_embd.weight Q6_K" in quantizing[4]


def test_a_dry_run_is_exact(tmp_path):
    job = make_job(TINY, tmp_path / "out.gguf", "Q3_K_M")

    planned = quantize(attrs.evolve(job, dry_run=True))

    assert os.listdir(tmp_path) == []
    made = quantize(job)
    assert job.output.stat().st_size == planned.size
    assert attrs.evolve(made, details={}) == attrs.evolve(planned, details={})


@pytest.mark.parametrize(
    "scheme",
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
        for name in SCHEMES
        if name not in CALIBRATED
    ],
)
def test_every_scheme_has_exactly_the_planned_size(scheme, source, tmp_path):
    output = tmp_path / "out.gguf"

    artifact = quantize(make_job(source, output, scheme))  # its size is the plan's

    header = header_of(output)
    assert output.stat().st_size == artifact.size
    assert [(t.name, t.type, t.size) for t in artifact.tensors] == [(t.name, t.type, t.size) for t in header.tensors]
    assert header.metadata["general.file_type"] == SCHEMES[scheme].ftype
    assert SCHEMES[scheme].tensor_type in {tensor.type for tensor in header.tensors} or scheme == "MXFP4_MOE"


@pytest.mark.parametrize("scheme", ["BF16", "F16", "F32"])
def test_wide_schemes_are_the_conversion_alone(scheme, tmp_path):
    output, progress = tmp_path / "out.gguf", Recorded()

    artifact = quantize(make_job(TINY, output, scheme, progress=progress))

    assert len(progress.stages) == 1
    assert types_of(output)["blk.0.attn_q.weight"] == scheme
    assert artifact.size == quantize(make_job(TINY, output, scheme, dry_run=True)).size == output.stat().st_size


def test_a_dry_run_leaves_nothing(tmp_path, monkeypatch):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))

    quantize(make_job(TINY, tmp_path / "out/x.gguf", dry_run=True))

    assert list(temporary.iterdir()) == []
    assert list(tmp_path.iterdir()) == [temporary]


def test_an_existing_target_is_refused_before_any_work(tmp_path):
    output, progress = tmp_path / "out.gguf", Recorded()
    output.write_bytes(b"mine")

    with pytest.raises(TargetExists, match="--force"):
        quantize(make_job(TINY, output, progress=progress))

    assert progress.stages == []
    assert output.read_bytes() == b"mine"
    quantize(make_job(TINY, output, force=True))
    assert output.read_bytes()[:4] == b"GGUF"


def test_a_folder_is_no_target(tmp_path):
    with pytest.raises(UsageError, match="is a folder"):
        quantize(make_job(TINY, tmp_path, force=True))


def test_an_output_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match="cannot be written to"):
        quantize(make_job(TINY, tmp_path / "file/out.gguf"))
    with pytest.raises(UsageError, match="for itself"):
        quantize(make_job(TINY, tmp_path / "tiny-bf16.gguf", "Q8_0", keep_16bit=True))


def test_the_16_bit_file_can_be_kept(tmp_path):
    artifact = quantize(
        make_job(TINY, tmp_path / "tiny-q8_0.gguf", "Q8_0", keep_16bit=True, outtype="f16", name="Tiny")
    )

    assert sorted(os.listdir(tmp_path)) == ["tiny-f16.gguf", "tiny-q8_0.gguf"]
    assert types_of(tmp_path / "tiny-f16.gguf")["token_embd.weight"] == "F16"
    assert artifact.details["kept_16bit"] == "tiny-f16.gguf"
    (tmp_path / "tiny-q8_0.gguf").unlink()
    with pytest.raises(TargetExists, match=r"tiny-f16\.gguf"):
        quantize(make_job(TINY, tmp_path / "tiny-q8_0.gguf", "Q8_0", keep_16bit=True, outtype="f16", name="Tiny"))


def test_llama_cpps_own_converter(tmp_path):
    with pytest.raises(UsageError, match="no converter 'other'"):
        quantize(make_job(TINY, tmp_path / "out.gguf", converter="other"))
    with pytest.raises(UnsupportedFeature, match="do not go together"):
        quantize(make_job(TINY, tmp_path / "out.gguf", converter="llama.cpp", dry_run=True))
    if importlib.util.find_spec("torch") is not None:
        pytest.skip("torch is installed")
    with pytest.raises(EngineMissing):
        quantize(make_job(TINY, tmp_path / "out.gguf", converter="llama.cpp"))
    assert os.listdir(tmp_path) == []


@attrs.frozen
class Usage:
    free: int


def test_the_disk_is_checked_before_the_work(tmp_path, monkeypatch):
    progress = Recorded()
    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage(free=10_000_000))

    # 2.9 MB and, for a while, 8.5 MB
    with pytest.raises(NotEnoughDisk, match=r"0\.01 GB are needed"):
        quantize(make_job(TINY, tmp_path / "out.gguf", progress=progress))

    assert progress.stages == []
    assert os.listdir(tmp_path) == []
