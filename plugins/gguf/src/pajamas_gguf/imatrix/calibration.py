"""The importance matrix of one quantization: what was asked for, checked before the work, and its record after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from attrs import evolve, frozen

from pajamas.digests import file_digest
from pajamas.errors import UsageError
from pajamas.quantize_options import NoEffect
from pajamas.text_overlap import LinePrint
from pajamas.types import QuantizeJob, TensorInfo
from pajamas_gguf.imatrix import answers
from pajamas_gguf.imatrix.corpus import CALIBRATION, Corpus, read_corpus, read_file, refuse_evaluation
from pajamas_gguf.imatrix.keys import matrix_keys
from pajamas_gguf.schemes import UNWEIGHTED, WEIGHTED_BODY, WEIGHTED_ONLY, Scheme

_CHUNK_TEXT = 2048
"""Characters: about the 512 tokens of a chunk."""
_ENDS = frozenset({"token_embd.weight", "per_layer_token_embd.weight", "output.weight"})


@frozen(kw_only=True)
class Calibrated:
    """A matrix in a file, and what the receipt says of it."""

    path: Path
    record: Mapping[str, Any]
    keys: tuple[tuple[str, str | int], ...]
    """What the quantized file says of it."""


class Calibration(Protocol):
    planned_keys: tuple[tuple[str, str | int], ...]
    """As `Calibrated.keys`, of the same size, before there is a matrix."""
    notes: tuple[str, ...]
    """What a person should know before the work."""

    def make(self, model: Path, folder: Path) -> Calibrated:
        """The matrix of the 16-bit `model`; files go to `folder`."""
        ...


def asked(job: QuantizeJob) -> bool:
    return job.imatrix is not None or job.calibration_samples is not None or job.calibration_text is not None


def find_calibration(job: QuantizeJob, scheme: Scheme, threads: int) -> Calibration | None:
    """What the job asks for; None if it asks for no matrix.

    Raises:
        UsageError: options that contradict each other, have no effect, or name the evaluation text.
        ModelFileError: a file that is no matrix, or no text.
    """
    if not asked(job):
        if job.keep_imatrix:
            raise UsageError("--keep-imatrix has nothing to keep.", "", "Add --calibration-samples 512.")
        return None
    if scheme.tensor_type in UNWEIGHTED and not job.tensor_types:
        raise NoEffect(
            f"{'--imatrix' if job.imatrix else '--calibration-samples'} has no effect on {scheme.name}.",
            f"llama.cpp weights nothing when it writes {scheme.tensor_type}.",
            "Leave it out, or name a smaller scheme.",
        )
    if job.imatrix is not None:
        if job.calibration_samples is not None or job.calibration_text is not None:
            raise UsageError("--imatrix and a calibration contradict each other.", "", "Leave one of them out.")
        if job.keep_imatrix:
            raise UsageError("--keep-imatrix has no effect.", "The matrix is a file already.", "Leave it out.")
        return _Ready(job.imatrix)
    samples = job.calibration_samples
    if samples is not None and samples < 1:
        raise UsageError(f"--calibration-samples {samples} makes no sense.", "", "Give 512, or 1 at least.")
    if job.calibration_text is not None:
        data, name = read_file(job.calibration_text), job.calibration_text.name
    elif CALIBRATION in job.files.sizes():
        data, name = job.files.read(CALIBRATION), CALIBRATION
    else:
        assert samples is not None  # else there is a text
        return _Generated(job, samples, threads)
    corpus = read_corpus(data, name, samples)
    refuse_evaluation(read_corpus(data, name, None), job.files)
    if len(corpus.text) >= _CHUNK_TEXT:  # a shorter one is refused for that: a line said everywhere is most of it
        refuse_evaluation(corpus, job.files)
    return _OfText(job, corpus, threads)


def check_covers(path: Path, tensors: Iterable[TensorInfo]) -> tuple[str, ...]:
    """Hold a matrix against the planned tensors; notes on what it lacks.

    Raises:
        UsageError: it is another model's, or does not weight a tensor that the engine cannot write unweighted.
    """
    from pajamas_gguf.imatrix.matrix import read_matrix

    matrix = read_matrix(path)
    shapes = {}
    for tensor in tensors:
        shapes[tensor.name] = tensor.shape
        weighted = WEIGHTED_ONLY if tensor.name in _ENDS else WEIGHTED_BODY
        if tensor.type in weighted and tensor.name not in matrix.entries:
            raise UsageError(
                f"{tensor.name} cannot be {tensor.type}.",
                f"{path.name} has nothing on it, and llama.cpp cannot write that type without.",
                "Give another type for it, or another matrix.",
            )
    for name, entry in matrix.entries.items():
        shape = shapes.get(name)
        if shape is not None and entry.sums.size != shape[-1] * (shape[0] if len(shape) > 2 else 1):
            raise _others(path, f"{name} has {entry.sums.size} values for a tensor of shape {shape}.")
    if not matrix.entries.keys() & shapes.keys():
        raise _others(path, "None of its tensors is in the model.")
    partial = matrix.partial
    if not partial:
        return ()
    return (f"{len(partial)} tensors hold experts that the calibration text never reached: {', '.join(partial)}.",)


def _others(path: Path, why: str) -> UsageError:
    return UsageError(f"{path.name} is another model's importance matrix.", why, "Give one of this model.")


class _Ready:
    notes: tuple[str, ...] = ()

    def __init__(self, path: Path) -> None:
        from pajamas_gguf.imatrix.matrix import read_matrix

        self._path = path
        self._matrix = found = read_matrix(path)
        self.planned_keys = matrix_keys(path.name, next(iter(found.datasets), None), len(found.entries), found.chunks)

    def make(self, model: Path, folder: Path) -> Calibrated:
        found = self._matrix
        record = {
            "source": "imatrix", "imatrix": self._path.name, "imatrix_sha256": file_digest(self._path),
            "datasets": list(found.datasets), "chunks": found.chunks, "chunk_size": found.chunk_size,
        }  # fmt: skip
        return Calibrated(path=self._path, record=record, keys=self.planned_keys)


class _OfText:
    notes: tuple[str, ...] = ()

    def __init__(self, job: QuantizeJob, corpus: Corpus, threads: int) -> None:
        self._job = job
        self._corpus = corpus
        self._threads = threads
        self.planned_keys = matrix_keys(matrix_name(job), corpus.name, 1, 1)

    def make(self, model: Path, folder: Path) -> Calibrated:
        return _compute(self._job, self._corpus, self._threads, model, folder)


class _Generated:
    """Of what the original answers, once there is an original."""

    def __init__(self, job: QuantizeJob, samples: int, threads: int) -> None:
        self._job = job
        self._samples = samples
        self._threads = threads
        self.planned_keys = matrix_keys(matrix_name(job), answers.NAME, 1, 1)
        self.notes: tuple[str, ...] = (
            f"It is calibrated with {samples} answers of the original, which that generates first: "
            f"{samples * answers.MAX_TOKENS:,} tokens at most. They are kept for the next time.",
        )

    def make(self, model: Path, folder: Path) -> Calibrated:
        job = self._job
        corpus = answers.generate(model, self._samples, self._threads, folder, job.progress)
        refuse_evaluation(corpus, job.files)
        made = _compute(job, corpus, self._threads, model, folder, parse_special=True)
        return evolve(made, record={**made.record, "generated": {"by": "the original", **answers.settings()}})


def matrix_name(job: QuantizeJob) -> str:
    """What a matrix that is computed for this job is called; so called, no model is looked for in the file."""
    return f"{job.name.lower()}-imatrix.gguf"


def _compute(
    job: QuantizeJob, corpus: Corpus, threads: int, model: Path, folder: Path, *, parse_special: bool = False
) -> Calibrated:
    from pajamas_gguf.imatrix.child import Task
    from pajamas_gguf.imatrix.matrix import read_matrix
    from pajamas_gguf.imatrix.runner import compute
    from pajamas_gguf.memory import extra_buffers

    text, output = folder / "calibration.txt", folder / "imatrix.gguf"
    text.write_bytes(corpus.text.encode())
    task = Task(
        model=str(model), text=str(text), name=corpus.name, output=str(output), threads=threads,
        extra_buffers=extra_buffers(), max_chunks=corpus.max_chunks, parse_special=parse_special,
    )  # fmt: skip
    tokens = compute(task, folder, job.progress)
    matrix = read_matrix(output)
    record = {
        "source": "text", "corpus": corpus.name, "corpus_sha256": corpus.digest,
        "corpus_lines": LinePrint.of(corpus.text).record(),
        "samples": matrix.chunks if corpus.samples is None else corpus.samples, "tokens": tokens,
        "chunks": matrix.chunks, "chunk_size": matrix.chunk_size, "imatrix_sha256": file_digest(output),
    }  # fmt: skip
    keys = matrix_keys(matrix_name(job), corpus.name, len(matrix.entries), matrix.chunks)
    return Calibrated(path=output, record=record, keys=keys)
