"""GGUF files as the quantizer's source: sound ones of every kind, and bad ones."""

from __future__ import annotations

import os
from pathlib import Path

import attrs
import gguf
import numpy as np
import pytest

from pajamas.errors import EngineError, ModelFileError, NotCached, UnsupportedModel, UsageError
from pajamas_gguf.quantize.pipeline import quantize
from quantize_jobs import TINY, FarFiles, header_of, make_job, types_of, write_llama


@pytest.fixture(scope="module")
def tiny_bf16(tmp_path_factory):
    path = tmp_path_factory.mktemp("bf16") / "tiny-bf16.gguf"
    quantize(make_job(TINY, path, "bf16"))
    return path


def test_a_dry_run_of_a_far_gguf_reads_its_header_only(tiny_bf16, tmp_path):
    job = make_job(tiny_bf16, tmp_path / "out.gguf", dry_run=True)
    far = attrs.evolve(job, files=FarFiles(job.files))

    assert quantize(far).tensors == quantize(job).tensors
    with pytest.raises(NotCached):
        quantize(attrs.evolve(far, dry_run=False))


def test_a_quantized_source_is_quantized_again_with_a_note(tmp_path):
    first, second = tmp_path / "q8_0.gguf", tmp_path / "q4_0.gguf"
    quantize(make_job(write_llama(tmp_path / "llama.gguf"), first, "Q8_0"))

    artifact = quantize(make_job(first, second, "Q4_0"))

    assert types_of(second)["blk.0.attn_q.weight"] == "Q4_0"
    assert "quantized already (Q8_0)" in artifact.notes[0]
    assert artifact.details["conversion"]["requantized_from"] == ["Q8_0"]


def test_options_of_the_conversion_are_refused_for_a_gguf_source(tiny_bf16, tmp_path):
    for options in ({"outtype": "f16"}, {"converter": "llama.cpp"}):
        with pytest.raises(UsageError, match="has no effect"):
            quantize(make_job(tiny_bf16, tmp_path / "out.gguf", **options))
    with pytest.raises(UsageError, match="contradicts"):
        quantize(make_job(TINY, tmp_path / "out.gguf", "F16", outtype="bf16"))
    with pytest.raises(UsageError, match="--threads 0"):
        quantize(make_job(TINY, tmp_path / "out.gguf", threads=0))


def test_widths_that_k_quants_do_not_allow_are_told(tmp_path):
    source = write_llama(tmp_path / "llama.gguf", width=96, tied=False)

    artifact = quantize(make_job(source, tmp_path / "out.gguf", "Q4_K_M"))

    found = {tensor.name: (tensor.wanted, tensor.type) for tensor in artifact.tensors}
    assert found["blk.0.attn_q.weight"] == ("Q4_K", "Q5_0")
    assert found["blk.0.ffn_norm.weight"] == (None, "F32")
    # The engine itself does not tell of this one.
    assert found["output.weight"] == ("Q6_K", "Q8_0")
    assert any("cannot be Q4_K (their width is 96) and are Q5_0" in note for note in artifact.notes)
    assert types_of(tmp_path / "out.gguf")["blk.0.attn_q.weight"] == "Q5_0"


def test_an_odd_width_falls_back_to_16_bit(tmp_path):
    source = write_llama(tmp_path / "llama.gguf", width=40)

    artifact = quantize(make_job(source, tmp_path / "out.gguf", "Q4_K_M"))

    found = {tensor.name: (tensor.wanted, tensor.type) for tensor in artifact.tensors}
    assert found["blk.0.attn_q.weight"] == ("Q4_K", "F16")


def test_a_source_of_another_alignment(tmp_path):
    source = write_llama(tmp_path / "llama.gguf", width=40, alignment=128)
    job = make_job(source, tmp_path / "out.gguf", "Q8_0")

    assert quantize(attrs.evolve(job, dry_run=True)).size == quantize(job).size
    assert header_of(tmp_path / "out.gguf").metadata["general.alignment"] == 32


def test_a_split_source(tmp_path):
    whole = write_llama(tmp_path / "whole.gguf", width=256)
    header, data = header_of(whole), whole.read_bytes()
    for part in range(2):
        writer = gguf.GGUFWriter(tmp_path / f"m-0000{part + 1}-of-00002.gguf", "llama")
        if part == 0:
            for key, value in header.metadata.items():
                if key.startswith("llama."):
                    writer.add_float32(key, value) if isinstance(value, float) else writer.add_uint32(key, value)
        writer.add_uint16("split.no", part)
        writer.add_uint16("split.count", 2)
        writer.add_int32("split.tensors.count", len(header.tensors))
        for tensor in header.tensors[part::2]:
            kind = np.float32 if tensor.type == "F32" else np.float16
            raw = np.frombuffer(data[tensor.offset : tensor.offset + tensor.size], kind)
            writer.add_tensor(tensor.name, raw.reshape(tensor.shape))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()

    quantize(make_job(whole, tmp_path / "a.gguf", "Q4_K_M"))
    job = make_job(tmp_path / "m-00001-of-00002.gguf", tmp_path / "b.gguf", "Q4_K_M")
    assert quantize(attrs.evolve(job, dry_run=True)).size == quantize(job).size

    a, b = header_of(tmp_path / "a.gguf"), header_of(tmp_path / "b.gguf")
    assert not any(key.startswith("split.") for key in b.metadata)
    one, other = (tmp_path / "a.gguf").read_bytes(), (tmp_path / "b.gguf").read_bytes()
    for mine, theirs in zip(a.tensors, b.tensors, strict=True):
        assert (mine.name, mine.type) == (theirs.name, theirs.type)
        assert one[mine.offset :][: mine.size] == other[theirs.offset :][: theirs.size]


def test_a_source_in_a_folder_of_its_repository(tmp_path):
    """The Hub names the file by its path in the repository; downloaded, it stands alone."""
    job = make_job(write_llama(tmp_path / "llama.gguf", width=256), tmp_path / "out.gguf", dry_run=True)

    artifact = quantize(attrs.evolve(job, source=attrs.evolve(job.source, filename="f16/llama.gguf")))

    assert artifact.details["conversion"] == {"source": "gguf"}


def test_a_truncated_source_is_refused(tiny_bf16, tmp_path):
    source = tmp_path / "short.gguf"
    source.write_bytes(tiny_bf16.read_bytes()[:-4096])

    with pytest.raises(ModelFileError):
        quantize(make_job(source, tmp_path / "out.gguf"))

    assert sorted(os.listdir(tmp_path)) == ["short.gguf"]


def test_weights_that_are_not_numbers_are_refused(tmp_path):
    source = write_llama(tmp_path / "llama.gguf", width=256, scale=np.nan)

    with pytest.raises(EngineError, match="refused"):
        quantize(make_job(source, tmp_path / "out.gguf"))

    assert os.listdir(tmp_path) == ["llama.gguf"]


def test_an_unknown_architecture_is_refused(tmp_path):
    source = write_llama(tmp_path / "llama.gguf", width=256)
    source.write_bytes(source.read_bytes().replace(b"llama", b"lambs"))

    with pytest.raises(UnsupportedModel, match="lambs"):
        quantize(make_job(source, tmp_path / "out.gguf"))


def test_a_header_without_sense_is_an_error(tmp_path):
    source = write_llama(tmp_path / "llama.gguf", width=256, block_count=1 << 30)

    with pytest.raises(EngineError):
        quantize(make_job(source, tmp_path / "out.gguf"))


def test_a_vocabulary_is_no_model(tmp_path):
    vocabulary = Path(__file__).parents[4] / "shared/data/vocab/ggml-vocab-qwen2.gguf"
    if not vocabulary.exists():
        pytest.skip("ggml-vocab-qwen2.gguf is not in ../shared/data/vocab")
    with pytest.raises(ModelFileError, match="no tensors"):
        quantize(make_job(vocabulary, tmp_path / "out.gguf"))


def test_a_dimension_of_one_that_ggml_leaves_out(tmp_path):
    """As llama.cpp's own converter writes the gate of a shared expert: two dimensions, the outer one 1."""
    whole = write_llama(tmp_path / "whole.gguf", width=256)
    header, data = header_of(whole), whole.read_bytes()
    writer = gguf.GGUFWriter(tmp_path / "flat.gguf", "llama")
    for key, value in header.metadata.items():
        if key.startswith("llama."):
            writer.add_float32(key, value) if isinstance(value, float) else writer.add_uint32(key, value)
    for tensor in header.tensors:
        raw = np.frombuffer(
            data[tensor.offset : tensor.offset + tensor.size], np.float32 if tensor.type == "F32" else np.float16
        )
        writer.add_tensor(tensor.name, raw.reshape((1, *tensor.shape) if "attn_norm" in tensor.name else tensor.shape))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    made = quantize(make_job(tmp_path / "flat.gguf", tmp_path / "out.gguf", "Q8_0"))

    shapes = {tensor.name: tensor.shape for tensor in header_of(tmp_path / "out.gguf").tensors}
    assert shapes == {tensor.name: tensor.shape for tensor in made.tensors}
    assert shapes["blk.0.attn_norm.weight"] == (256,)
