"""Hugging Face safetensors to one 16-bit GGUF file, without torch and in bounded memory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from io import BufferedWriter
from pathlib import Path
from typing import Any

import gguf
from attrs import frozen

from pajamas.errors import ModelFileError, NotEnoughDisk, PajamasError, UnsupportedModel, UsageError
from pajamas.modelfiles import ModelFiles, read_json
from pajamas.progress import NO_PROGRESS, Progress
from pajamas.safetensors_header import read_tensors
from pajamas.source import Source
from pajamas.types import TensorInfo
from pajamas_gguf.convert.fallback import OTHER_CONVERTER
from pajamas_gguf.convert.families.base import Family
from pajamas_gguf.convert.families.registry import architecture_name, find_family
from pajamas_gguf.convert.metadata import pooling_type, write_general
from pajamas_gguf.convert.output import complete_file
from pajamas_gguf.convert.plan import half_type, plan, source_type, weights
from pajamas_gguf.convert.tensors import TensorStream
from pajamas_gguf.convert.vocab import write_vocab

OUTTYPES = ("f32", "f16", "bf16")
_FILE_TYPES = {"F32": "ALL_F32", "F16": "MOSTLY_F16", "BF16": "MOSTLY_BF16"}


@frozen(kw_only=True)
class Conversion:
    """What was written."""

    path: Path
    file_type: str
    """The type of the matrices: "BF16", "F16" or "F32". Vectors, norms and routers are F32 always."""
    tensors: tuple[TensorInfo, ...]
    details: Mapping[str, Any]
    """For the receipt: converter and version, architecture, the source's dtype."""
    notes: tuple[str, ...] = ()
    """What a person should know before trusting the file."""


def convert(
    files: ModelFiles,
    source: Source,
    output: Path,
    *,
    name: str,
    outtype: str | None = None,
    progress: Progress = NO_PROGRESS,
) -> Conversion:
    """Write the model as `output`, which is replaced if it is there.

    Args:
        files: the whole model, on this machine.
        source: where it comes from; nothing of it goes into the file.
        name: what the model's repository or folder is called (`Source.name`); general.name and others come from it.
        outtype: one of OUTTYPES for the matrices; None keeps the source's 16-bit type (F16 for 32-bit sources).
        progress: gets one stage in bytes of the output, with the tensors' names.

    Raises:
        ModelFileError: a file is damaged, a tensor missing, not a number or of the wrong shape.
        UnsupportedModel: a family, a tensor or a tokenizer that is not understood.
        NotEnoughDisk: the file does not fit; checked before the weights are read.
        UsageError: an unknown outtype, or an output that cannot be written.
    """
    draft = _Draft(files, name, outtype)
    with complete_file(output) as stream, TensorStream(files) as weights:
        total = draft.write_header(stream)
        _check_disk(output, total - stream.tell())
        with progress.stage(f"Converting {name} to {draft.file_type}", total - stream.tell(), "bytes") as stage:
            for tensor in draft.tensors:
                for piece in weights.pieces(tensor):
                    stream.write(piece.data)
                    stage.advance(piece.nbytes, tensor.name)
                padding = -tensor.size % gguf.GGUF_DEFAULT_ALIGNMENT
                stream.write(bytes(padding))
                stage.advance(padding, tensor.name)
        if stream.tell() != total:
            raise ModelFileError(
                f"{output.name} came out with a wrong size.",
                f"It has {stream.tell():,} bytes instead of {total:,}.",
                "",
            )
    return draft.conversion(output)


def write_header_only(
    files: ModelFiles, source: Source, output: Path, *, name: str, outtype: str | None = None
) -> Conversion:
    """As `convert`, but the tensors' data is a hole: a sparse file of the true size, for dry runs.

    Only headers and small files are read, so the weights may be far away.
    """
    draft = _Draft(files, name, outtype)
    with complete_file(output) as stream:
        total = draft.write_header(stream)
        stream.flush()
        os.truncate(stream.fileno(), total)
    return draft.conversion(output)


class _Draft:
    """Everything about the file but its data."""

    def __init__(self, files: ModelFiles, name: str, outtype: str | None) -> None:
        wanted = None if outtype is None or outtype == "auto" else outtype.lower()
        if wanted is not None and wanted not in OUTTYPES:
            raise UsageError(f"There is no output type {outtype}.", "", f"Choose one of {', '.join(OUTTYPES)}.")
        config = read_json(files, "config.json")
        if config is None:
            raise ModelFileError(f"{files.origin} has no config.json.", "", "Name a model in Hugging Face layout.")
        family = find_family(config, name)
        pooling = pooling_type(files) if family.embeds else None
        family.headless |= pooling is not None
        entries = weights(read_tensors(files))
        if not entries:
            raise _no_weights(files)
        self.architecture = architecture_name(config)
        self.source_type = source_type(entries)
        self.file_type = wanted.upper() if wanted else half_type(entries)
        self.tensors = plan(family, entries, self.file_type)
        self._writer = self._header(files, family, name, pooling)
        self._notes = (*family.notes(), *self._vocab.notes)

    def _header(self, files: ModelFiles, family: Family, name: str, pooling: Any) -> Any:
        writer = gguf.GGUFWriter(path=None, arch=family.name)
        for tensor in self.tensors:
            kind = gguf.GGMLQuantizationType[tensor.type]
            writer.add_tensor_info(tensor.name, tensor.shape, None, tensor.size, raw_dtype=kind)
        family.write_early(writer)
        write_general(files, name, writer)
        family.write_parameters(writer, gguf.LlamaFileType[_FILE_TYPES[self.file_type]])
        if pooling is not None:
            writer.add_pooling_type(pooling)
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
        self._vocab = write_vocab(files, {**family.hp.values, "architectures": [self.architecture]}, writer)
        return writer

    def write_header(self, stream: BufferedWriter) -> int:
        """Write all that stands before the data; the whole file's size in bytes."""
        writer = self._writer
        # The writer opens its files itself, but only if it has none: this one is locked and has a hidden name.
        writer.fout, writer.state = [stream], gguf.gguf_writer.WriterState.EMPTY
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        writer.write_padding(stream, stream.tell())
        alignment: int = gguf.GGUF_DEFAULT_ALIGNMENT
        data = sum(-(-tensor.size // alignment) * alignment for tensor in self.tensors)
        return stream.tell() + data

    def conversion(self, output: Path) -> Conversion:
        details = {
            "converter": "pajamas",
            "converter_version": version("pajamas-gguf"),
            "gguf_version": version("gguf"),
            "architecture": self.architecture,
            "source_dtype": self.source_type,
            "dtype": self.file_type,
            "tokenizer": f"{self._vocab.kind}/{self._vocab.pre}",
            "tokenizer_digest": self._vocab.tokenizer_digest,
            "template_digest": self._vocab.template_digest,
        }
        return Conversion(
            path=output,
            file_type=self.file_type,
            tensors=tuple(tensor.info for tensor in self.tensors),
            details=details,
            notes=self._notes,
        )


def _no_weights(files: ModelFiles) -> PajamasError:
    if any(file.startswith("pytorch_model") and file.endswith(".bin") for file in files.sizes()):
        return UnsupportedModel(
            f"The weights of {files.origin} are in PyTorch's old form only (pytorch_model.bin).",
            "pajamas' own converter reads safetensors.",
            OTHER_CONVERTER,
        )
    return ModelFileError(f"{files.origin} has no safetensors weights.", "", "Download the model again.")


def _check_disk(output: Path, needed: int) -> None:
    free = shutil.disk_usage(output.parent).free
    if needed > free:
        raise NotEnoughDisk(
            f"There is not enough space for {output}.",
            f"{needed:,} bytes are needed, {free:,} are free.",
            "Free some space.",
        )
