"""Calibration of a model that brings no text along: with what it answers itself."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time

import numpy as np
import pytest
from filelock import FileLock

from pajamas.errors import TemplateError, UsageError
from pajamas.text_overlap import LinePrint
from pajamas_gguf.imatrix import answers
from pajamas_gguf.imatrix.answer_child import Task
from pajamas_gguf.imatrix.process import follow
from pajamas_gguf.imatrix.prompts import read_prompts, render
from pajamas_gguf.probe import cache_folder
from pajamas_gguf.quantize.pipeline import quantize
from pajamas_gguf.session.facts import read_facts
from quantize_jobs import TINY, Recorded, make_job, types_of
from random_models import convert_folder, make_model

TITLE = "Generating answers to calibrate with"


@pytest.fixture(scope="module")
def general(tmp_path_factory):
    """The bundled model without the texts that it brings along."""
    folder = tmp_path_factory.mktemp("general") / "model"
    return shutil.copytree(TINY, folder, ignore=shutil.ignore_patterns("*.jsonl"))


@pytest.fixture
def empty_cache():
    folder = cache_folder() / "calibration"
    shutil.rmtree(folder, ignore_errors=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def generate(model, folder, samples=20, progress=None):
    return answers.generate(model, samples, 2, folder, progress or Recorded())


def stages(progress):
    return [stage for stage in progress.stages if stage[0] == TITLE]


def test_the_prompts():
    prompts = read_prompts()

    assert len(prompts) == len(set(prompts)) == 128
    assert max(map(len, prompts)) < 400
    judging = "".join(path.read_text(encoding="utf-8") for path in (TINY / "eval.jsonl", TINY / "suite.toml"))
    assert not [prompt for prompt in prompts if prompt in judging]


def test_a_general_model(general, tmp_path, empty_cache):
    progress = Recorded()
    job = make_job(general, tmp_path / "out.gguf", "IQ2_XXS", calibration_samples=36, progress=progress)

    artifact = quantize(job)

    assert "IQ2_XXS" in types_of(job.output).values()
    record = artifact.details["calibration"]
    assert (record["corpus"], record["samples"]) == ("answers of the original", 36)
    assert record["generated"] == {"by": "the original", **answers.settings()}
    assert record["tokens"] == 512 * record["chunks"] > 0
    ((_, total, unit, done, notes),) = stages(progress)
    assert (total, unit, done) == (36, "answers", 36)
    assert notes[0] == "16 at once, token 1 of 256 at most"
    assert os.listdir(tmp_path) == ["out.gguf"]
    # `validate` knows the text again.
    (kept,) = empty_cache.glob("*.jsonl")
    texts = [text for line in kept.read_text().splitlines() if line for text in json.loads(line)[1]]
    print_ = LinePrint.read(record["corpus_lines"])
    assert print_.is_mostly("\n".join(texts))
    assert not print_.is_mostly((TINY / "README.md").read_text(encoding="utf-8"))
    planned = quantize(make_job(general, tmp_path / "b.gguf", "IQ2_XXS", calibration_samples=36, dry_run=True))
    assert planned.size == artifact.size
    assert any("36 answers of the original" in note for note in planned.notes)


def test_a_text_that_is_given_comes_first(general, tmp_path, empty_cache):
    path = tmp_path / "text.txt"
    path.write_text("\n".join(f"Line {number} of a text that nobody judges by." for number in range(100)))

    made = quantize(make_job(general, tmp_path / "out.gguf", calibration_text=path, calibration_samples=1))

    assert made.details["calibration"]["corpus"] == "text.txt"
    assert not empty_cache.exists()


def test_what_is_calibrated_with(tiny_bf16, tmp_path, empty_cache):
    """Prompts and answers as the chat has them: the template's tokens, and the one that ends the answer."""
    corpus = generate(tiny_bf16, tmp_path, samples=3)

    facts, prompts = read_facts(tiny_bf16), read_prompts()
    samples = corpus.text.split("<|im_start|>user\n")
    assert [sample.partition("<|im_end|>")[0] for sample in samples[1:]] == prompts[:3]
    assert all(sample.rstrip().endswith("<|im_end|>") for sample in samples[1:])
    # Every other one thinks, and in the next round the others.
    thinking = ["<think>\n\n</think>" not in render(prompts, facts, number) for number in (0, 1, 128, 129)]
    assert thinking == [False, True, True, False]


def test_answers_are_kept(tiny_bf16, tmp_path, empty_cache):
    first = generate(tiny_bf16, tmp_path)
    again, longer, other = Recorded(), Recorded(), Recorded()

    assert generate(tiny_bf16, tmp_path, progress=again).text == first.text
    assert stages(again) == []
    more = generate(tiny_bf16, tmp_path, samples=34, progress=longer)
    assert [stage[1] for stage in stages(longer)] == [34 - 16]  # one whole group was there
    assert more.text.startswith(first.text[: first.text.rindex("<|im_start|>user")][:500])
    (kept,) = empty_cache.glob("*.jsonl")
    kept.unlink()
    assert generate(tiny_bf16, tmp_path, progress=other).text == first.text  # the seeds are fixed
    assert len(stages(other)) == 1


def test_an_interruption_loses_one_group_at_most(tiny_bf16, tmp_path, empty_cache):
    class _Interrupt(Recorded):
        def advance(self, amount, note=""):
            super().advance(amount, note)
            if note and self.stages[-1][3] > 16:
                raise KeyboardInterrupt

    whole = generate(tiny_bf16, tmp_path).text
    (kept,) = empty_cache.glob("*.jsonl")
    kept.unlink()
    with pytest.raises(KeyboardInterrupt):
        generate(tiny_bf16, tmp_path, progress=_Interrupt())
    with kept.open("ab") as stream:  # a run that was killed while it wrote
        stream.write(b'\n[16, ["half of an answ')
    resumed = Recorded()

    assert generate(tiny_bf16, tmp_path, progress=resumed).text == whole
    assert [stage[1] for stage in stages(resumed)] == [4]
    again = Recorded()
    assert generate(tiny_bf16, tmp_path, progress=again).text == whole
    assert stages(again) == []


@pytest.mark.parametrize("line", [b"5", b"{}", b"[1, 2, 3]", b'["0", ["x"]]', b"[0, [5]]", b"\xff\xfe", b"[0]"])
def test_a_damaged_cache_is_made_anew(line, tiny_bf16, tmp_path, empty_cache):
    text = generate(tiny_bf16, tmp_path, samples=1).text
    (kept,) = empty_cache.glob("*.jsonl")
    kept.write_bytes(line + b"\n")

    assert generate(tiny_bf16, tmp_path, samples=1).text == text


def test_a_cache_that_cannot_be_written(tiny_bf16, tmp_path, empty_cache):
    empty_cache.parent.mkdir(parents=True, exist_ok=True)
    empty_cache.write_text("in the way")
    try:
        assert generate(tiny_bf16, tmp_path, samples=1).samples == 1
    finally:
        empty_cache.unlink()


def test_two_runs_at_once(tiny_bf16, tmp_path, empty_cache, caplog):
    """The second waits for the first, and takes its answers."""
    text = generate(tiny_bf16, tmp_path, samples=2).text
    (kept,) = empty_cache.glob("*.jsonl")
    found = []
    second = threading.Thread(target=lambda: found.append(generate(tiny_bf16, tmp_path, samples=2).text))
    with FileLock(kept.with_suffix(".lock")):
        second.start()
        while "waiting for it" not in caplog.text:  # the suite's own timeout ends this
            time.sleep(0.05)
        assert found == []
    second.join()

    assert found == [text]


def test_a_base_model_goes_on_from_plain_prompts(tmp_path, empty_cache):
    folder = make_model("Llama-2-7b-hf", tmp_path)
    (folder / "chat_template.jinja").unlink()
    model = tmp_path / "base.gguf"
    convert_folder(folder, model)

    text = generate(model, tmp_path, samples=2).text

    assert text.startswith(read_prompts()[0])
    assert read_prompts()[1] in text
    assert "<|im_start|>user" not in text


def test_a_template_that_takes_no_question(tmp_path, empty_cache):
    folder = make_model("Llama-2-7b-hf", tmp_path)
    (folder / "chat_template.jinja").write_text("{{ raise_exception('I take nothing') }}")
    convert_folder(folder, tmp_path / "m.gguf")

    with pytest.raises(TemplateError, match=r"(?s)I take nothing.*--calibration-text"):
        generate(tmp_path / "m.gguf", tmp_path)


def test_a_context_that_is_too_short(tiny_bf16, tmp_path):
    task = Task(
        model=str(tiny_bf16), prompts=["word " * 5000], seeds=[0], together=2, max_tokens=4, temperature=1.0, top_k=0,
        top_p=1.0, threads=1, extra_buffers=True,
    )  # fmt: skip

    with pytest.raises(UsageError, match="context is too short"):
        list(follow("pajamas_gguf.imatrix.answer_child", task, tmp_path, "x"))


def test_several_at_once_answer_as_one_alone(tiny_bf16, tmp_path, load_session):
    """Greedy, so that rounding does not decide: each answer is what a session gives to its prompt."""
    from pajamas.types import GenerateRequest, Sampling

    facts, prompts = read_facts(tiny_bf16), read_prompts()
    rendered = [render(prompts, facts, number) for number in range(5)]
    task = Task(
        model=str(tiny_bf16), prompts=rendered, seeds=[0] * 5, together=3, max_tokens=40, temperature=0.0, top_k=0,
        top_p=1.0, threads=2, extra_buffers=True,
    )  # fmt: skip
    events = list(follow("pajamas_gguf.imatrix.answer_child", task, tmp_path, "x"))
    found = [text for event in events if event["event"] == "group" for text in event["answers"]]
    session = load_session(tiny_bf16)

    for prompt, text in zip(rendered, found, strict=True):
        request = GenerateRequest(prompt=prompt, max_tokens=40, sampling=Sampling(temperature=0.0))
        alone = "".join(chunk.text for chunk in session.generate(request))
        assert text.removesuffix("<|im_end|>") == alone
    assert np.mean([text.endswith("<|im_end|>") for text in found]) > 0.5
