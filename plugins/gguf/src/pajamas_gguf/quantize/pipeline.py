"""From a source model to one GGUF file: convert, quantize, verify, publish."""

from __future__ import annotations

import errno
import importlib.metadata
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from attrs import evolve

from pajamas.errors import EngineError, ModelFileError, NotEnoughDisk, TargetExists, UsageError
from pajamas.gguf_header import read_header
from pajamas.modelfiles import LocalFiles
from pajamas.progress import Stage
from pajamas.types import Architecture, Artifact, QuantizeJob
from pajamas.work_folder import work_folder
from pajamas_gguf.imatrix.calibration import (
    Calibrated,
    Calibration,
    asked,
    check_covers,
    find_calibration,
    matrix_name,
)
from pajamas_gguf.quantize.child import Task
from pajamas_gguf.quantize.dryrun import Plan, make_plan, make_task
from pajamas_gguf.quantize.origin import Input, Origin, find_origin
from pajamas_gguf.quantize.overrides import Overrides, parse_overrides
from pajamas_gguf.quantize.runner import run_task
from pajamas_gguf.schemes import Scheme, find_scheme, needs_imatrix


def quantize(job: QuantizeJob) -> Artifact:
    """Make one GGUF file of `job.scheme`, or with `job.dry_run` say what it would be.

    Everything unfinished lies in a hidden work folder beside the output. Nothing stands under the final name until the
    file is complete, verified and on the disk.

    Raises:
        TargetExists: there is a file already, and `job.force` is not set.
        UsageError, UnsupportedFeature: an option that cannot be honoured; before the work begins.
        UnsupportedModel, ModelFileError: the source cannot be converted.
        NotEnoughDisk: before the work begins, or when somebody else fills the disk.
        EngineError, EngineCrashed: the quantizer refused, or died.
    """
    scheme = find_scheme(job.scheme)
    if scheme.needs_imatrix and not (job.dry_run or asked(job)):
        raise needs_imatrix(scheme.name)
    overrides = parse_overrides(job, scheme)
    origin = find_origin(job, scheme, retyped=bool(overrides))
    threads = _threads(job)
    calibration = find_calibration(job, scheme, threads)
    if job.dry_run:
        temporary = Path(tempfile.gettempdir())
        with _disk_errors(temporary), work_folder(temporary) as folder:
            plan = _plan(job, scheme, overrides, origin, threads, folder, calibration)
            notes = calibration.notes if calibration else ()
            return _artifact(job, scheme, evolve(plan, more_notes=(*plan.more_notes, *notes)))
    _check_target(job.output, job.force)
    with _disk_errors(job.output.parent):
        job.output.parent.mkdir(parents=True, exist_ok=True)
        with work_folder(job.output.parent) as folder:
            plan = _plan(job, scheme, overrides, origin, threads, folder, calibration)
            kept = _kept_path(job, plan.input, final=origin.final)
            kept_matrix = _matrix_path(job)
            calibrated = None
            _check_disk(folder, plan.size, 0 if origin.final or not plan.input.hollow else plan.input.size)
            source = origin.complete(folder)
            if calibration is not None:
                calibrated = calibration.make(source.paths[0], folder)
                if job.imatrix is None:
                    plan = evolve(plan, more_notes=check_covers(calibrated.path, plan.tensors))
            if origin.final:
                result = source.paths[0]
            else:
                result = folder / "quantized.gguf"
                task = make_task(source, result, scheme, plan.overrides, threads, dry_run=False)
                if calibrated is not None:
                    task = evolve(task, imatrix=str(calibrated.path), keys=[list(pair) for pair in calibrated.keys])
                with job.progress.stage(f"Quantizing to {scheme.name}", len(plan.tensors), "tensors") as stage:
                    _run(task, folder, stage)
            _verify(result, plan)
            artifact = _artifact(job, scheme, plan, kept, calibrated)
            _publish(result, job.output, job.force)
            if kept is not None:
                _publish(source.paths[0], kept, job.force)
            if kept_matrix is not None and calibrated is not None:
                _publish(calibrated.path, kept_matrix, job.force)
            return artifact


def _plan(
    job: QuantizeJob,
    scheme: Scheme,
    overrides: Overrides,
    origin: Origin,
    threads: int,
    folder: Path,
    calibration: Calibration | None,
) -> Plan:
    """The plan; a ready matrix that does not fit it is refused."""
    keys = calibration.planned_keys if calibration else ()
    plan = make_plan(job, scheme, overrides, origin, threads, folder, keys)
    return plan if job.imatrix is None else evolve(plan, more_notes=check_covers(job.imatrix, plan.tensors))


def _threads(job: QuantizeJob) -> int:
    from pajamas_gguf.cores import MAX_THREADS, usable_cores

    if job.threads is not None and not 1 <= job.threads <= MAX_THREADS:
        raise UsageError(f"--threads {job.threads} makes no sense.", "", f"Give 1 to {MAX_THREADS}.")
    return job.threads or usable_cores()


def _check_target(path: Path, force: bool) -> None:
    if path.is_dir():
        raise UsageError(f"{path} is a folder.", "The output is one file.", "Name another --output.")
    if path.exists() and not force:
        raise TargetExists(f"{path} is there already.", "Nothing is replaced unasked.", "Use --force to replace it.")


def _kept_path(job: QuantizeJob, source: Input, *, final: bool) -> Path | None:
    """Where the 16-bit file stays, if it is to stay and is not what was asked for anyway."""
    if not job.keep_16bit or final or source.file_type is None:
        return None
    path = job.output.with_name(f"{job.name.lower()}-{source.file_type.lower()}.gguf")
    if path == job.output:
        raise UsageError(f"--keep-16bit needs the name {path} for itself.", "", "Name another --output.")
    _check_target(path, job.force)
    return path


def _matrix_path(job: QuantizeJob) -> Path | None:
    """Where the computed matrix stays, if it is to stay."""
    if not job.keep_imatrix:
        return None
    path = job.output.with_name(matrix_name(job))
    _check_target(path, job.force)
    return path


def _check_disk(folder: Path, size: int, converted: int) -> None:
    needed, free = size + converted, shutil.disk_usage(folder).free
    if needed > free:
        raise NotEnoughDisk(
            f"{folder.parent} has not enough space.",
            f"{needed / 1e9:.2f} GB are needed, {converted / 1e9:.2f} GB of it for a while; "
            f"{free / 1e9:.2f} GB are free.",
            "Free some space, or name an --output on another disk.",
        )


def _run(task: Task, folder: Path, stage: Stage) -> None:
    try:
        run_task(task, folder, stage)
    except EngineError as error:
        if _is_full(folder):
            raise NotEnoughDisk("The disk became full.", error.why, "Free some space, and run it again.") from error
        raise


def _is_full(folder: Path) -> bool:
    return shutil.disk_usage(folder).free < 1 << 20


def _verify(path: Path, plan: Plan) -> None:
    """Hold the finished file against the plan."""
    try:
        tensors = read_header(LocalFiles(path), path.name).tensors
    except ModelFileError as error:
        raise _unfinished(path, error.why) from error
    found = [(tensor.name, tensor.shape, tensor.type) for tensor in tensors]
    if found != [(tensor.name, tensor.shape, tensor.type) for tensor in plan.tensors]:
        raise _unfinished(path, "Its tensors are not those that were planned.")
    if path.stat().st_size != plan.size:
        raise _unfinished(path, f"It has {path.stat().st_size:,} bytes instead of {plan.size:,}.")


def _unfinished(path: Path, why: str) -> EngineError | NotEnoughDisk:
    """The engine does not notice every failed write: a full disk is the likeliest cause."""
    if _is_full(path.parent):
        return NotEnoughDisk("The disk became full.", why, "Free some space, and run it again.")
    return EngineError("The finished file is not what it should be.", why, "Run it again.")


def _publish(path: Path, target: Path, force: bool) -> None:
    """Move a complete file to its name, so that it is there whole or not at all, even if the power fails now."""
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())
    if force:
        os.replace(path, target)
    else:
        try:
            # Unlike a rename, a link never replaces what has come to stand there meanwhile.
            os.link(path, target)
        except OSError:
            _check_target(target, force)
            os.replace(path, target)
    # Not every system and network disk can do this; the file itself is safe by now.
    with suppress(OSError):
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


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
    job: QuantizeJob, scheme: Scheme, plan: Plan, kept: Path | None = None, calibrated: Calibrated | None = None
) -> Artifact:
    """The artifact that the job asks for, from the plan: that has its true header."""
    parameters = _parameters(plan.architecture, job.architecture)
    notes = plan.notes
    if plan.input.file_type is None and job.keep_16bit:
        notes = (*notes, "There is no 16-bit intermediate to keep: the source is a GGUF file already.")
    if kept is not None:
        notes = (*notes, f"The 16-bit file is kept, without a receipt of its own: {kept}")
    if scheme.needs_imatrix and not asked(job):
        fix = needs_imatrix(scheme.name)
        notes = (*notes, f"{fix.what} {fix.fix}")
    return Artifact(
        path=job.output,
        format=job.format,
        scheme=scheme.name,
        size=plan.size,
        parameters=parameters,
        bits_per_weight=8 * plan.size / parameters if parameters else None,
        tensors=plan.tensors,
        memory=plan.memory,
        architecture=plan.architecture,
        notes=notes,
        details={
            "engine": {
                "name": "llama.cpp",
                "version": plan.engine_version,
                "llama-cpp-python": importlib.metadata.version("llama-cpp-python"),
            },
            "conversion": dict(plan.input.details),
            "types": plan.types,
            **({"overrides": plan.overrides.record()} if plan.overrides else {}),
            **({"kept_16bit": kept.name} if kept else {}),
            **({"calibration": dict(calibrated.record)} if calibrated else {}),
        },
    )


def _parameters(*architectures: Architecture | None) -> int | None:
    return next((found.parameters for found in architectures if found is not None and found.parameters), None)
