"""The vLLM backend's hooks. The engine is imported by the modules that these functions import, never by this one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pajamas.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pajamas.types import Artifact, BackendInfo, Chunk, GenerateRequest, LoadOptions, QuantizeJob, Session

NAME = "vllm"
FORMAT = "safetensors"


@hookimpl
def describe(thorough: bool) -> BackendInfo:
    from pajamas_vllm.backend import describe

    return describe(thorough)


@hookimpl
def quantize(job: QuantizeJob) -> Artifact | None:
    if job.format != FORMAT:
        return None
    from pajamas_vllm.quantize.pipeline import quantize

    return quantize(job)


@hookimpl
def load(artifact: Artifact, options: LoadOptions) -> Session | None:
    if artifact.format != FORMAT:
        return None
    from pajamas_vllm.session.load import load

    return load(artifact, options)


@hookimpl
def generate(session: Session, request: GenerateRequest) -> Iterator[Chunk] | None:
    if session.backend != NAME:
        return None
    return session.generate(request)
