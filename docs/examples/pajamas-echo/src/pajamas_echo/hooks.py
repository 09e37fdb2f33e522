"""The echo backend's hooks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from pajamas.errors import DeviceNotFound, ModelFileError, TargetExists, UnsupportedFeature, UsageError
from pajamas.hookspecs import hookimpl
from pajamas.modelfiles import LocalFiles, ModelFiles, read_json
from pajamas.needs import load_features, refuse_missing
from pajamas.types import Architecture, Artifact, BackendInfo, Chunk, GenerateRequest, LoadOptions, QuantizeJob, Session
from pajamas_echo.session import ARCHITECTURE, FEATURES, EchoSession

INDENTS = {"plain": 2, "compact": None}  # scheme to the indent of its JSON


@hookimpl
def describe() -> BackendInfo:
    return BackendInfo(
        name="echo",
        engine="none",
        engine_version=None,
        formats=("echo",),
        schemes=tuple(INDENTS),
        profile_schemes={"echo": {"balanced": "plain", "ultra": "compact", "hq": "plain"}},
        file_suffixes={".echo": "echo"},
        features=FEATURES,
    )


@hookimpl
def detect_architecture(files: ModelFiles) -> Architecture | None:
    return ARCHITECTURE if read_header(files) else None


@hookimpl
def quantize(job: QuantizeJob) -> Artifact | None:
    if job.format != "echo":
        return None
    if job.scheme not in INDENTS:
        raise UsageError(f"echo has no scheme {job.scheme!r}.", f"It has {', '.join(INDENTS)}.", "Name one of them.")
    header = {"format": "echo", "scheme": job.scheme, "model": job.name}
    data = json.dumps(header, indent=INDENTS[job.scheme]).encode()
    if not job.dry_run:
        write(job.output, data, force=job.force)
    return Artifact(path=job.output, format="echo", scheme=job.scheme, size=len(data), architecture=ARCHITECTURE)


@hookimpl
def load(artifact: Artifact, options: LoadOptions) -> Session | None:
    if artifact.format != "echo":
        return None
    if not read_header(LocalFiles(artifact.path)):
        raise ModelFileError(f"{artifact.path} is no echo model.", "It is damaged.", "Convert the model again.")
    if options.device not in (None, "cpu"):
        raise DeviceNotFound(f"There is no device {options.device} for echo.", "It runs on the processor.", "")
    refuse_missing("echo", load_features(options), FEATURES)
    refuse(options, "threads", "batch_size", "flash_attention")
    context_length = 4096 if options.context_length is None else options.context_length
    if context_length < 1:
        raise UsageError(f"A context of {context_length} tokens is none.", "", "Ask for one token at least.")
    return EchoSession(context_length)


@hookimpl
def generate(session: Session, request: GenerateRequest) -> Iterator[Chunk] | None:
    return session.generate(request) if session.backend == "echo" else None


def read_header(files: ModelFiles) -> dict[str, object] | None:
    """What stands in the only .echo file; None if there is no such file, or it is damaged."""
    names = [name for name in files.sizes() if name.lower().endswith(".echo")]
    try:
        header = read_json(files, names[0]) if len(names) == 1 else None
    except ModelFileError:
        return None
    return header if header and header.get("format") == "echo" else None


def write(path: Path, data: bytes, *, force: bool) -> None:
    if path.exists() and not force:
        raise TargetExists(f"{path} is there already.", "Nothing is replaced unasked.", "Use --force.")
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(path)  # in one step: a run that is killed leaves nothing under the final name
    except OSError as error:
        raise UsageError(f"{path} cannot be written.", str(error), "Name another --output.") from error


def refuse(options: LoadOptions, *names: str) -> None:
    """An option is honoured or refused by name, never ignored."""
    if given := [name for name in names if getattr(options, name)]:
        raise UnsupportedFeature(f"echo has no {', '.join(given)}.", "It has no weights.", "Leave the option out.")
