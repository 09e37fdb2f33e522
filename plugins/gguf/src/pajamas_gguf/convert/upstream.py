"""The optional second converter: llama.cpp's own, for families that ours does not know. It needs torch.

It comes with the auto-round package (the extra `llama-cpp-converter`), or from a llama.cpp source tree that the
environment variable PAJAMAS_LLAMA_CPP names. It runs in a child process: torch stays out of this one.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import gguf
from attrs import frozen

from pajamas.digests import template_digest, tokenizer_digest
from pajamas.errors import EngineError, EngineMissing, ModelFileError, UnsupportedModel, UsageError
from pajamas.gguf_header import read_header
from pajamas.modelfiles import LocalFiles, ModelFiles
from pajamas.progress import NO_PROGRESS, Progress
from pajamas.source import Source
from pajamas.types import TensorInfo
from pajamas_gguf.convert.converter import OUTTYPES, Conversion
from pajamas_gguf.convert.fallback import INSTALL
from pajamas_gguf.convert.output import complete_file, hidden_name

VARIABLE = "PAJAMAS_LLAMA_CPP"
_BUNDLE = "auto_round/export/export_to_gguf"
_UNSUPPORTED = 3  # the child's exit status for an architecture that llama.cpp does not know either


@frozen
class UpstreamConverter:
    """A folder that holds llama.cpp's `conversion` package, and what to call it in a receipt."""

    root: Path
    label: str


def find_converter() -> UpstreamConverter:
    """llama.cpp's converter on this machine: the tree that PAJAMAS_LLAMA_CPP names, else the one in auto-round.

    Raises:
        UsageError: PAJAMAS_LLAMA_CPP names no llama.cpp tree.
        EngineMissing: there is none, or torch is missing.
    """
    tree = os.environ.get(VARIABLE)
    if tree:
        found = UpstreamConverter(Path(tree), "llama.cpp source tree")
        if not (found.root / "conversion/__init__.py").is_file():
            raise UsageError(f"{VARIABLE} names no llama.cpp tree.", f"{tree} has no conversion folder.", "Correct it.")
    else:
        try:
            package = distribution("auto-round")
        except PackageNotFoundError as error:
            raise EngineMissing("llama.cpp's own converter is not installed.", str(error), INSTALL) from error
        found = UpstreamConverter(Path(str(package.locate_file(_BUNDLE))), f"auto-round {package.version}")
        if not (found.root / "conversion/__init__.py").is_file():
            why = "This version of auto-round does not hold it."
            raise EngineMissing("llama.cpp's own converter is not installed.", why, INSTALL)
    if importlib.util.find_spec("torch") is None:
        raise EngineMissing("llama.cpp's own converter needs torch.", "The package torch is not installed.", INSTALL)
    return found


def convert(
    files: ModelFiles,
    source: Source,
    output: Path,
    *,
    name: str,
    outtype: str | None = None,
    progress: Progress = NO_PROGRESS,
) -> Conversion:
    """As `converter.convert`, by llama.cpp's own converter.

    Raises:
        UnsupportedModel: llama.cpp does not know the architecture either.
        EngineError: it failed, for the reason that is its last word.
        EngineMissing, UsageError: as `find_converter`; an unknown outtype.
    """
    if outtype not in (None, "auto", *OUTTYPES):
        raise UsageError(f"There is no output type {outtype}.", "", f"Choose one of {', '.join(OUTTYPES)}.")
    converter = find_converter()
    config = files.local_path("config.json")
    if config is None:
        raise ModelFileError(f"{files.origin} is not on this machine.", "", "Download the model.")
    with complete_file(output), tempfile.TemporaryDirectory(prefix="pajamas-") as scratch:
        # The converter takes the model's name from its folder, and that of a cached one is a commit's number.
        folder = Path(scratch) / name
        folder.symlink_to(config.parent.absolute(), target_is_directory=True)
        part = hidden_name(output)
        command = [str(converter.root.absolute()), str(folder), str(part.absolute()), outtype or "auto"]
        weights = sum(size for file, size in files.sizes().items() if file.endswith(".safetensors"))
        _run(command, part, weights, Path(scratch) / "errors", progress)
    return _conversion(output, converter)


def _run(command: list[str], part: Path, total: int, log: Path, progress: Progress) -> None:
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "PYTHONUNBUFFERED": "1"}
    with log.open("wb") as errors, progress.stage("Converting with llama.cpp's converter", total, "bytes") as stage:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "pajamas_gguf.convert.upstream_child", *command],
            stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, env=os.environ | offline,
        )  # fmt: skip
        try:
            done = 0
            while child.poll() is None:
                try:
                    child.wait(0.2)
                except subprocess.TimeoutExpired:
                    size = min(part.stat().st_size, total)
                    stage.advance(max(0, size - done))
                    done = max(done, size)
        finally:
            child.kill()
            child.wait()
    if child.returncode:
        said = log.read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2][:500]
        if child.returncode == _UNSUPPORTED:
            raise UnsupportedModel("llama.cpp's converter does not know this model either.", said, "")
        raise EngineError("llama.cpp's converter failed.", said or f"It ended with exit code {child.returncode}.", "")


def _conversion(output: Path, converter: UpstreamConverter) -> Conversion:
    header = read_header(LocalFiles(output), output.name)
    file_type = gguf.LlamaFileType(header.metadata.get("general.file_type", 1)).name.partition("_")[2]
    return Conversion(
        path=output,
        file_type=file_type,
        tensors=tuple(TensorInfo(name=t.name, shape=t.shape, type=t.type, size=t.size) for t in header.tensors),
        details={
            "converter": "llama.cpp",
            "converter_version": converter.label,
            "dtype": file_type,
            "tokenizer_digest": tokenizer_digest(output),
            "template_digest": template_digest(output),
        },
    )
