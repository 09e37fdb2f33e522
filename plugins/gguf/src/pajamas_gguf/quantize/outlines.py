"""The outline of a model that several dry runs ask about, made once: a real vocabulary takes most of their time.

At most one is kept for each `ModelFiles`, in memory (about 50 MB with 150,000 tokens), and no longer than that lives.
"""

from __future__ import annotations

from pathlib import Path
from weakref import WeakKeyDictionary

from attrs import evolve, frozen

from pajamas.modelfiles import ModelFiles
from pajamas.types import QuantizeJob
from pajamas_gguf.quantize.origin import Input, Origin

_kept: WeakKeyDictionary[ModelFiles, _Kept] = WeakKeyDictionary()


@frozen
class _Kept:
    key: object
    input: Input
    head: bytes
    """All before the tensors' data."""
    size: int


def shared_outline(job: QuantizeJob, origin: Origin, folder: Path) -> Input:
    """`origin.outline(folder)`, or the one that was made before from the same files with the same options.

    The same files are the same object, and no file that lies on this machine has changed its size or its time.

    Raises:
        as `origin.outline`.
    """
    key = (origin.key, _stamps(job))
    kept = _kept.get(job.files)
    if kept is not None and kept.key == key:
        path = folder / kept.input.paths[0].name
        with path.open("wb") as stream:
            stream.write(kept.head)
            stream.truncate(kept.size)
        return evolve(kept.input, paths=(path,))
    outline = origin.outline(folder)
    if [path.parent for path in outline.paths] == [folder]:
        with outline.paths[0].open("rb") as stream:
            _kept[job.files] = _Kept(key, outline, stream.read(outline.header.data_offset), outline.size)
    return outline


def _stamps(job: QuantizeJob) -> object:
    """What changes with the files; a commit's never do, though more and more of them may come to this machine."""
    if job.source.commit is not None:
        return job.source.commit
    try:
        paths = [job.files.local_path(name) for name in job.files.sizes()]
        statuses = [path.stat() for path in paths if path is not None]
    except OSError:
        return object()  # equals nothing
    return [(status.st_size, status.st_mtime_ns) for status in statuses]
