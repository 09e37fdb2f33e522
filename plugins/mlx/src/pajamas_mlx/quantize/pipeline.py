"""From a source model to an MLX folder in mlx-lm's own layout: check, plan, convert, publish."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pajamas.calibration import Corpus, find_corpus
from pajamas.errors import NotEnoughDisk, UsageError
from pajamas.folder_output import check_target, publish
from pajamas.modelfiles import read_json
from pajamas.progress import NO_PROGRESS
from pajamas.safetensors_header import SafetensorsEntry
from pajamas.types import Artifact, QuantizeJob, TensorInfo
from pajamas.work_folder import work_folder
from pajamas_mlx.quantize import notes, origin
from pajamas_mlx.quantize.corpus import general_corpus
from pajamas_mlx.quantize.outline import announce
from pajamas_mlx.quantize.recipe import Recipe, find_recipe
from pajamas_mlx.quantize.runner import run_task
from pajamas_mlx.quantize.task import Result, Task


def quantize(job: QuantizeJob) -> Artifact:
    """Make an MLX folder of `job.scheme`, or with `job.dry_run` say what it would be.

    Everything unfinished lies in a hidden work folder beside the output. Nothing stands under the final name until the
    folder is complete, read by mlx-lm's own loader, and on the disk.

    Raises:
        TargetExists: there is a folder already, and `job.force` is not set.
        UsageError: an option that cannot be honoured; before the work begins.
        UnsupportedModel, ModelFileError: the source cannot be converted.
        NotEnoughDisk: before the work begins, or when somebody else fills the disk.
        EngineError, EngineCrashed: mlx-lm refused, or died.
    """
    recipe = find_recipe(job)
    tensors, about_source = origin.check(job)
    corpus = (find_corpus(job) or general_corpus()) if recipe.target_bpw is not None else None
    if job.dry_run:
        return _artifact(job, recipe, corpus, _announce(job, recipe, tensors), about_source)
    check_target(job.output, job.source.path, force=job.force)
    with _disk_errors(job.output.parent):
        job.output.parent.mkdir(parents=True, exist_ok=True)
        with work_folder(job.output.parent) as folder:
            source, made = folder / "source", folder / "made"
            source.mkdir()
            made.mkdir()
            origin.link(job.files, source)
            text = None
            if corpus is not None:
                text = folder / "calibration.txt"
                text.write_bytes(corpus.text.encode())

            def planned(size: int) -> None:
                _check_disk(folder, size)

            result = run_task(make_task(job, recipe, source, made, text), folder, job.progress, planned)
            origin.copy_small_files(job.files, made)
            artifact = _artifact(job, recipe, corpus, result, about_source)
            publish(made, job.output, force=job.force)
            return artifact


def _announce(job: QuantizeJob, recipe: Recipe, tensors: Mapping[str, SafetensorsEntry]) -> Result:
    """The engine is asked only about models and recipes that it alone knows."""
    config = read_json(job.files, "config.json") or {}
    found = announce(make_task(job, recipe, Path(), None, None), config, tensors)
    if found is not None:
        return found
    with work_folder(Path(tempfile.gettempdir())) as folder:
        source = folder / "source"
        source.mkdir()
        origin.outline(job.files, tensors, source)
        task = make_task(job, recipe, source, None, None)
        return run_task(task, folder, NO_PROGRESS, lambda size: None)


def make_task(job: QuantizeJob, recipe: Recipe, source: Path, made: Path | None, text: Path | None) -> Task:
    scheme = recipe.scheme
    return Task(
        source=str(source),
        output=None if made is None else str(made),
        dtype=scheme.dtype,
        bits=scheme.bits,
        group_size=recipe.group_size,
        mode=scheme.mode,
        mixed=scheme.recipe,
        embedding_bits=recipe.embedding_bits,
        target_bpw=recipe.target_bpw,
        max_increase=job.max_increase,
        max_divergence=job.max_divergence,
        text=None if text is None else str(text),
        all_text=job.calibration_samples is not None,
        contexts=list(job.contexts),
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


def _artifact(
    job: QuantizeJob, recipe: Recipe, corpus: Corpus | None, result: Result, about_source: tuple[str, ...]
) -> Artifact:
    # Of a layer that may be raised a dry run knows the most that it may come to, not which it is.
    size = result.size if result.bound is None or not job.dry_run else result.bound
    tensors = tuple(
        TensorInfo(name=name, shape=tuple(shape), type=kind, size=bytes_, wanted=wanted)
        for name, shape, kind, bytes_, wanted in result.tensors
    )
    return Artifact(
        path=job.output,
        format=job.format,
        scheme=recipe.scheme.name,
        size=size,
        parameters=result.parameters,
        bits_per_weight=8 * size / result.parameters if result.parameters else None,
        tensors=tensors,
        memory={context: bytes_ + size - result.size for context, bytes_ in result.memory},
        architecture=job.architecture,
        notes=(*about_source, *result.notes, *notes.of(job, recipe, corpus, result, tensors)),
        details=notes.details(job, recipe, corpus, result),
    )
