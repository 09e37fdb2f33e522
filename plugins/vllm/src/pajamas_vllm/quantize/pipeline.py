"""From a source model to a folder of compressed-tensors: check, plan, quantize, publish."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pajamas.calibration import Corpus, find_corpus
from pajamas.environments.finding import interpreter
from pajamas.errors import EngineError, NotEnoughDisk, NotEnoughMemory, UsageError
from pajamas.folder_output import check_target, publish
from pajamas.modelfiles import LocalFiles, read_json
from pajamas.operations.fitting import available_memory
from pajamas.safetensors_header import read_tensors, weight_files
from pajamas.types import Artifact, QuantizeJob
from pajamas.work_folder import work_folder
from pajamas_vllm.environment import QUANTIZER
from pajamas_vllm.quantize import origin
from pajamas_vllm.quantize.plan import Plan, make_plan, memory
from pajamas_vllm.quantize.runner import Result, Task, run_task
from pajamas_vllm.quantize.schemes import Scheme, find_scheme, group_size_of


def quantize(job: QuantizeJob) -> Artifact:
    """Make a folder of `job.scheme`, or with `job.dry_run` say what it would be, from headers alone.

    Everything unfinished lies in a hidden work folder beside the output. Nothing stands under the final name until the
    folder is complete, has every tensor that was planned, and is on the disk.

    Raises:
        EngineMissing: llm-compressor's environment is not made.
        TargetExists: there is a folder already, and `job.force` is not set.
        UsageError: an option that cannot be honoured; before the work begins.
        UnsupportedModel, ModelFileError: the source cannot be quantized.
        NotEnoughDisk, NotEnoughMemory: before the work begins, or when somebody else fills the disk.
        EngineError, EngineCrashed: llm-compressor refused, or died.
    """
    scheme = find_scheme(job.scheme)
    group_size = group_size_of(job, scheme)
    tensors = origin.check(job)
    config = read_json(job.files, "config.json") or {}
    tied = bool(config.get("tie_word_embeddings"))
    plan = make_plan(tensors, scheme, group_size, tied=tied, origin=job.files.origin)
    corpus = find_corpus(job) if scheme.calibrated else None
    if job.dry_run:
        return _artifact(job, scheme, plan, corpus, None, plan.size)
    check_target(job.output, job.source.path, force=job.force)
    python = interpreter(QUANTIZER, purpose="Quantizing for vLLM")
    _check_memory(sum(tensor.size for tensor in tensors.values()))
    with _disk_errors(job.output.parent):
        job.output.parent.mkdir(parents=True, exist_ok=True)
        with work_folder(job.output.parent) as folder:
            _check_disk(folder, plan.size)
            source, made = folder / "source", folder / "made"
            source.mkdir()
            made.mkdir()
            origin.link(job.files, source)
            text = None
            if corpus is not None:
                text = folder / "calibration.txt"
                text.write_bytes(corpus.text.encode())
            result = run_task(python, _task(job, scheme, plan, source, made, text), folder, job.progress)
            origin.copy_small_files(job.files, made)
            size = _checked_size(made, plan)
            artifact = _artifact(job, scheme, plan, corpus, result, size)
            publish(made, job.output, force=job.force)
            return artifact


def _task(job: QuantizeJob, scheme: Scheme, plan: Plan, source: Path, made: Path, text: Path | None) -> Task:
    return Task(
        source=str(source.absolute()),  # the program works in another folder
        output=str(made.absolute()),
        preset=scheme.preset,
        dtype=plan.dtype,
        layers=plan.layers,
        ignored=(*plan.ignored, *(() if "lm_head" in plan.ignored else ("lm_head",))),
        group_size=plan.group_size,
        text=None if text is None else str(text.absolute()),
        threads=job.threads,
    )


def _checked_size(made: Path, plan: Plan) -> int:
    """Bytes of the weight files, which hold what was planned."""
    files = LocalFiles(made)
    there = {name: (tensor.dtype, tensor.shape) for name, tensor in read_tensors(files).items()}
    planned = {tensor.name: (tensor.dtype, tensor.shape) for tensor in plan.stored}
    if there != planned:
        differ = sorted(name for name in there.keys() | planned.keys() if there.get(name) != planned.get(name))
        raise EngineError(
            "llm-compressor wrote other tensors than were planned.",
            f"{len(differ)} differ: {', '.join(differ[:3])}.",
            "This is a fault of pajamas, or of another version of llm-compressor: pajamas doctor",
        )
    return sum(files.sizes()[name] for name in weight_files(files))


def _artifact(
    job: QuantizeJob, scheme: Scheme, plan: Plan, corpus: Corpus | None, result: Result | None, size: int
) -> Artifact:
    return Artifact(
        path=job.output,
        format=job.format,
        scheme=scheme.name,
        size=size,
        parameters=plan.parameters,
        bits_per_weight=8 * size / plan.parameters,
        tensors=plan.tensors,
        memory=memory(plan, job.architecture, job.contexts),
        architecture=job.architecture,
        notes=(*plan.notes, *_method(scheme, corpus)),
        details=_details(scheme, plan, corpus, result),
    )


def _method(scheme: Scheme, corpus: Corpus | None) -> Iterator[str]:
    if scheme.calibrated and corpus is None:
        yield (
            "Weights are rounded to the nearest: the model brings no text along to calibrate with. "
            "--calibration-text FILE has GPTQ choose them."
        )


def _details(scheme: Scheme, plan: Plan, corpus: Corpus | None, result: Result | None) -> Mapping[str, Any]:
    """For the receipt."""
    quantization: dict[str, Any] = {"preset": scheme.preset, "bits": scheme.bits}
    if plan.group_size is not None:
        quantization["group_size"] = plan.group_size
    quantization["method"] = "GPTQ" if corpus is not None else "round to nearest"
    details: dict[str, Any] = {"dtype": plan.dtype, "quantization": quantization}
    if result is not None:
        details["engine"] = {"name": "llm-compressor", **result.versions}
    if result is not None and corpus is not None:
        details["calibration"] = {**corpus.record, "tokens": result.tokens}
    return details


def _check_memory(size: int) -> None:
    free = available_memory()
    if free is not None and size > free:
        raise NotEnoughMemory(
            "The model does not fit this machine's memory.",
            f"llm-compressor holds it as a whole: {size / 1e9:.2f} GB, and {free / 1e9:.2f} GB are free.",
            "Close other programs, or use another format, which is made piece by piece: --formats gguf.",
        )


def _check_disk(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        raise NotEnoughDisk(
            f"{folder.parent} has not enough space.",
            f"{size / 1e9:.2f} GB are needed; {free / 1e9:.2f} GB are free.",
            "Free some space, or name an --output on another disk.",
        )


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """What the system says of a full or read-only disk, as an error of ours; anything else is a bug."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NotEnoughDisk(f"The disk of {folder} became full.", str(error), "Free some space.") from error
        if error.filename is not None and folder.is_relative_to(Path(os.fsdecode(error.filename)).parent):
            raise UsageError(
                f"{folder} cannot be written to.", error.strerror or str(error), "Check its permissions."
            ) from error
        raise
