"""Dry runs: what they predict is what comes to be, and several of one model do its work once."""

from __future__ import annotations

import shutil
import struct

import attrs
import pytest

from pajamas.architecture import detect_architecture
from pajamas.modelfiles import LocalFiles
from pajamas_gguf.memory import predict
from pajamas_gguf.quantize.child import Task
from pajamas_gguf.quantize.pipeline import quantize
from pajamas_gguf.quantize.runner import run_task
from pajamas_gguf.schemes import SCHEMES
from quantize_jobs import TINY, FarFiles, Recorded, header_of, make_job

CONTEXTS = (512, 4096)


@pytest.fixture
def model(tmp_path):
    """A copy of the bundled model."""
    return shutil.copytree(TINY, tmp_path / "model", copy_function=shutil.copyfile)


@pytest.mark.parametrize("scheme", ["Q4_K_M", "Q8_0", "BF16"])
def test_a_dry_run_tells_all_of_the_file(scheme, tmp_path):
    job = make_job(TINY, tmp_path / "tiny.gguf", scheme, contexts=CONTEXTS)

    planned, made = quantize(attrs.evolve(job, dry_run=True)), quantize(job)

    assert planned == made
    assert made.size == made.path.stat().st_size
    assert [(t.name, t.shape, t.type, t.size) for t in made.tensors] == [
        (t.name, t.shape, t.type, t.size) for t in header_of(made.path).tensors
    ]
    assert made.architecture == detect_architecture(LocalFiles(made.path))
    # The plan is measured without a vocabulary, the file with it.
    assert made.memory == predict(made.path, CONTEXTS)


def test_a_gguf_file_in_a_dry_run(tiny_bf16, tmp_path):
    job = make_job(tiny_bf16, tmp_path / "tiny.gguf", contexts=CONTEXTS)

    planned, made = quantize(attrs.evolve(job, dry_run=True)), quantize(job)

    assert planned == made
    assert made.size == made.path.stat().st_size
    assert made.memory == predict(made.path, CONTEXTS)


def test_dry_runs_of_one_model_read_it_once(model, tmp_path):
    files = FarFiles(LocalFiles(model))
    jobs = [make_job(model, tmp_path / "out.gguf", scheme, dry_run=True) for scheme in ("Q4_K_M", "Q6_K")]
    alone = [quantize(attrs.evolve(job, files=FarFiles(LocalFiles(model)))) for job in jobs]

    first = quantize(attrs.evolve(jobs[0], files=files))
    taken = files.taken
    second = quantize(attrs.evolve(jobs[1], files=files))

    assert [first, second] == alone
    assert files.taken == taken


def test_dry_runs_that_ask_for_other_things_share_nothing(model, tmp_path):
    job = make_job(model, tmp_path / "out.gguf", "Q8_0", dry_run=True)
    files = FarFiles(job.files)

    sizes = [
        quantize(attrs.evolve(job, files=files, **options)).size
        for options in ({}, {"name": "a-much-longer-name-of-the-model-than-before"}, {}, {"outtype": "f16"})
    ]

    assert sizes[0] == sizes[2] != sizes[1]
    assert files.taken > 3 * (model / "tokenizer.json").stat().st_size


def test_a_file_that_changed_meanwhile_is_read_again(model, tmp_path):
    job = make_job(model, tmp_path / "out.gguf", dry_run=True)
    before = quantize(job).details["conversion"]["template_digest"]
    template = model / "chat_template.jinja"
    template.write_bytes(template.read_bytes().replace(b"assistant", b"companion"))

    assert quantize(job).details["conversion"]["template_digest"] != before


def test_a_model_that_cannot_be_loaded_is_planned_without_memory(tiny_bf16, tmp_path):
    content, key = tiny_bf16.read_bytes(), b"qwen3.attention.head_count" + struct.pack("<I", 4)
    place = content.index(key) + len(key)
    path = tmp_path / "odd.gguf"
    path.write_bytes(content[:place] + struct.pack("<I", 3) + content[place + 4 :])

    artifact = quantize(make_job(path, tmp_path / "out.gguf", "Q8_0", contexts=CONTEXTS, dry_run=True))

    assert artifact.memory == {}
    assert "memory could not be predicted: llama.cpp cannot load" in artifact.notes[-1]
    assert artifact.size > 0


def test_a_child_that_dies_after_the_plan_costs_the_memory_only(tiny_bf16, tmp_path):
    task = Task(
        sources=[str(tiny_bf16)], output=str(tmp_path / "plan"), ftype=SCHEMES["Q8_0"].ftype, threads=1, dry_run=True,
        patterns=[], contexts=["no number"],
    )  # fmt: skip

    outcome = run_task(task, tmp_path, Recorded().stage("", None, "tensors"))

    assert outcome.size > 0
    assert outcome.memory == {}
    assert "exit code 1" in outcome.unmeasured
