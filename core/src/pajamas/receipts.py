"""Making a receipt: everything that is known about an artifact at the moment it was made."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pajamas import digests
from pajamas.dispatch import Choice
from pajamas.manifest import Receipt, SourceRecord
from pajamas.modelfiles import ModelFiles
from pajamas.plugin_entries import core_version
from pajamas.profiles import Target
from pajamas.progress import Progress
from pajamas.source import Source
from pajamas.types import Artifact, QuantizeJob

if TYPE_CHECKING:
    from filelock import BaseFileLock

# The files that decide what a model is and how it speaks; weights have their own digest.
_SMALL_FILES = (
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json",
    "vocab.json", "merges.txt", "chat_template.jinja",
)  # fmt: skip


def make_receipt(
    folder: Path, job: QuantizeJob, artifact: Artifact, target: Target, choice: Choice, command: str
) -> Receipt:
    """The receipt of `artifact`, with paths relative to `folder`, where the manifest lies."""
    path = artifact.path
    files = digests.artifact_files(path)
    return Receipt(
        format=artifact.format,
        scheme=artifact.scheme,
        profile=target.profile.name if target.profile else None,
        path=path.relative_to(folder).as_posix(),
        size=artifact.size,
        files={file.relative_to(folder).as_posix(): digests.file_digest(file, job.progress) for file in files},
        tensor_digest=digests.tensor_digest(path, job.progress),
        tokenizer_digest=digests.tokenizer_digest(path),
        template_digest=digests.template_digest(path),
        parameters=artifact.parameters,
        bits_per_weight=artifact.bits_per_weight,
        architecture=artifact.architecture or job.architecture,
        tensor_types=dict(Counter(tensor.type for tensor in artifact.tensors)),
        tensors=artifact.tensors,
        backend=choice.backend.name,
        engine=choice.info.engine,
        engine_version=choice.info.engine_version,
        pajamas_version=core_version(),
        plugin=f"{choice.backend.entry.distribution} {choice.backend.entry.version}",
        command=command or _as_call(job),
        options=_options(job),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        source=_source_record(job.source, job.files, job.progress),
        notes=artifact.notes,
        details=artifact.details,
    )


_DECIDING = (
    "outtype", "tensor_types", "embedding_type", "output_type", "aggressive", "keep_16bit", "converter",
    "calibration_samples", "calibration_text", "imatrix", "keep_imatrix",
    "mixed_precision", "embedding_bits", "group_size", "target_bpw",
)  # fmt: skip


def _options(job: QuantizeJob) -> dict[str, Any]:
    given = {name: value for name in _DECIDING if (value := getattr(job, name))}
    return {name: str(value) if isinstance(value, Path) else value for name, value in given.items()}


def _as_call(job: QuantizeJob) -> str:
    """What makes the same artifact again, for a conversion that no command line asked for."""
    given = {"model": job.source.text, "formats": job.format, "precision": job.scheme, **_options(job)}
    return f"pajamas.run('convert', {', '.join(f'{name}={value!r}' for name, value in given.items())})"


def _source_record(source: Source, files: ModelFiles, progress: Progress) -> SourceRecord:
    present = files.sizes()
    digested = {name: hashlib.sha256(files.read(name)).hexdigest() for name in _SMALL_FILES if name in present}
    if source.kind == "file" and source.path is not None:
        parts = digests.artifact_files(source.path)
        digested = {part.name: digests.file_digest(part, progress) for part in parts}
    return SourceRecord(
        text=source.text if source.path is None else str(source.path.resolve()),
        repo_id=source.repo_id,
        revision=source.revision,
        commit=source.commit,
        files=digested,
    )


def locked(folder: Path) -> BaseFileLock:
    """A lock between processes that write the same manifest. It lies in the user's cache, not in the folder."""
    import platformdirs
    from filelock import FileLock

    locks = platformdirs.user_cache_path("pajamas") / "locks"
    try:
        locks.mkdir(parents=True, exist_ok=True)
    except OSError:  # no home to write to, as in some containers; the receipt must still be written
        locks = Path(tempfile.gettempdir()) / f"pajamas-locks-{os.getuid() if hasattr(os, 'getuid') else ''}"
        locks.mkdir(exist_ok=True)
    return FileLock(locks / f"{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]}.lock")
