"""Where the quantizer's input comes from: converted from Hugging Face files, or a GGUF file that is there already."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from attrs import frozen

from pajamas.architecture_gguf import model_name
from pajamas.errors import ModelFileError, NotCached, UnsupportedFeature, UsageError
from pajamas.gguf_header import GGUFHeader, read_header, read_split, split_names
from pajamas.modelfiles import LocalFiles, ModelFiles
from pajamas.types import QuantizeJob
from pajamas_gguf.schemes import WIDE_TYPES, Scheme

_LLAMA_CPP = "llama.cpp"
_INTEGERS = frozenset({"I8", "I16", "I32", "I64", "F64"})


@frozen(kw_only=True)
class Input:
    """A GGUF file for the quantizer, or its outline: the true header with a hole for the data."""

    paths: tuple[Path, ...]
    """The parts in order; one, unless it is split."""
    header: GGUFHeader
    hollow: bool = False
    """Whether it is an outline."""
    file_type: str | None = None
    """"BF16", "F16" or "F32" where it was converted for this job; None for a file that was there before."""
    details: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return sum(path.stat().st_size for path in self.paths)


class Origin(Protocol):
    key: tuple[str | None, ...]
    """What of the job, beside its files, decides the outline."""
    final: bool
    """Whether `complete` already makes what the scheme asks for, so that there is nothing left to quantize."""

    def outline(self, folder: Path) -> Input:
        """The header alone, from headers alone; files go to `folder`."""
        ...

    def complete(self, folder: Path) -> Input:
        """The whole file; unless it was there before, it goes to `folder`."""
        ...


def find_origin(job: QuantizeJob, scheme: Scheme, *, retyped: bool) -> Origin:
    """The origin of the job's model; `retyped` says that some tensors get types of their own.

    Raises:
        UsageError: options that do not fit this kind of source.
        ModelFileError: the files hold no model.
    """
    name = job.source.filename
    if name is None or not name.endswith(".gguf") or name not in job.files.sizes():
        name = model_name(job.files)
        if name is None or any(file.endswith(".safetensors") for file in job.files.sizes()):
            return _Converted(job, scheme, retyped)
    for option, value in (("--outtype", job.outtype), ("--converter", job.converter)):
        if value is not None:
            raise UsageError(f"{option} has no effect.", "The source is a GGUF file already.", "Leave it out.")
    return _Existing(job.files, split_names(name)[0])


class _Existing:
    """A GGUF file that is quantized from as it is."""

    final = False

    def __init__(self, files: ModelFiles, name: str) -> None:
        self.key: tuple[str | None, ...] = ("gguf", name)
        self._files = files
        self._name = name

    def outline(self, folder: Path) -> Input:
        header = read_split(self._files, self._name)
        paths = self._local()
        return self._input(header, paths if paths is not None else self._copy_headers(folder))

    def complete(self, folder: Path) -> Input:
        paths = self._local()
        if paths is None:
            raise NotCached(f"{self._name} of {self._files.origin} is not on this machine.", "", "Use `pajamas pull`.")
        return self._input(read_split(self._files, self._name), paths)

    def _local(self) -> tuple[Path, ...] | None:
        paths = [self._files.local_path(part) for part in split_names(self._name)]
        return None if None in paths else tuple(path for path in paths if path is not None)

    def _copy_headers(self, folder: Path) -> tuple[Path, ...]:
        paths = []
        for part in split_names(self._name):
            header, path = read_header(self._files, part), folder / Path(part).name
            with path.open("wb") as stream:
                stream.write(self._files.read(part, 0, header.data_offset))
                stream.truncate(self._files.sizes()[part])
            paths.append(path)
        return tuple(paths)

    def _input(self, header: GGUFHeader, paths: tuple[Path, ...]) -> Input:
        if not header.tensors:
            raise ModelFileError(f"{self._name} holds no tensors.", "It may be a vocabulary only.", "Name a model.")
        quantized = sorted({tensor.type for tensor in header.tensors} - WIDE_TYPES - _INTEGERS)
        notes: tuple[str, ...] = ()
        if quantized:
            notes = (
                f"The source is quantized already ({', '.join(quantized)}): "
                "quantizing again loses more than quantizing the 16-bit original.",
            )
        details = {"source": "gguf", "requantized_from": quantized} if quantized else {"source": "gguf"}
        return Input(paths=paths, header=header, details=details, notes=notes)


class _Converted:
    """Hugging Face files, converted to 16 bit first."""

    def __init__(self, job: QuantizeJob, scheme: Scheme, retyped: bool) -> None:
        self._job = job
        if job.converter not in (None, _LLAMA_CPP):
            raise UsageError(f"There is no converter {job.converter!r}.", "", "Leave it out, or use llama.cpp.")
        self._done: Input | None = None
        self._outtype = None if job.outtype in (None, "auto") else job.outtype.lower()
        if not scheme.quantized:
            if self._outtype not in (None, scheme.name.lower()):
                raise UsageError(
                    f"--outtype {job.outtype} contradicts the scheme {scheme.name}.", "", "Give only one of them."
                )
            self._outtype = scheme.name.lower()
        self.final = not scheme.quantized and not retyped
        self.key: tuple[str | None, ...] = ("converted", job.name, self._outtype)

    def outline(self, folder: Path) -> Input:
        if self._job.converter == _LLAMA_CPP:
            if self._job.dry_run:
                raise UnsupportedFeature(
                    "--dry-run and --converter llama.cpp do not go together.",
                    "llama.cpp's converter cannot write a header without the weights.",
                    "Leave one of them out.",
                )
            return self.complete(folder)
        from pajamas_gguf.convert.converter import write_header_only

        job = self._job
        return _converted(
            write_header_only(job.files, job.source, folder / "outline.gguf", name=job.name, outtype=self._outtype),
            hollow=True,
        )

    def complete(self, folder: Path) -> Input:
        if self._done is not None:  # by llama.cpp's converter, for the outline
            return self._done
        if self._job.converter == _LLAMA_CPP:
            from pajamas_gguf.convert.upstream import convert
        else:
            from pajamas_gguf.convert.converter import convert

        output, job = folder / "16bit.gguf", self._job
        self._done = _converted(
            convert(job.files, job.source, output, name=job.name, outtype=self._outtype, progress=job.progress)
        )
        return self._done


def _converted(conversion: Any, *, hollow: bool = False) -> Input:
    path: Path = conversion.path
    return Input(
        paths=(path,),
        header=read_header(LocalFiles(path), path.name),
        hollow=hollow,
        file_type=conversion.file_type,
        details={"source": "safetensors", **conversion.details},
        notes=conversion.notes,
    )
