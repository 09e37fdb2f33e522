"""What a quantization would write, exactly, from headers alone.

Every quantization is planned so before it begins: options that cannot be honoured are refused at once and not after
an hour, and the finished file is held against the plan.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from pajamas.architecture_gguf import architecture_of
from pajamas.errors import PajamasError
from pajamas.gguf_header import GGML_TYPES, GGUFHeader
from pajamas.progress import NO_PROGRESS
from pajamas.types import Architecture, QuantizeJob, TensorInfo
from pajamas_gguf.imatrix.calibration import asked
from pajamas_gguf.memory import extra_buffers, predict
from pajamas_gguf.quantize.child import Task
from pajamas_gguf.quantize.origin import Input, Origin
from pajamas_gguf.quantize.outlines import shared_outline
from pajamas_gguf.quantize.overrides import Overrides, check_honoured, fit_overrides, silent_fallbacks
from pajamas_gguf.quantize.runner import run_task
from pajamas_gguf.schemes import TYPE_IDS, Scheme, needs_imatrix

_LISTED = 3
_BLOCKS = {name: (elements, size) for name, elements, size in GGML_TYPES.values()}


@frozen(kw_only=True)
class Plan:
    """The file to be."""

    size: int
    """Bytes of the whole file."""
    tensors: tuple[TensorInfo, ...]
    """In the order of the file."""
    input: Input
    overrides: Overrides
    engine_version: str | None
    """llama.cpp's; None where its quantizer is not needed."""
    architecture: Architecture | None
    """As its header describes it."""
    memory: Mapping[int, int]
    """Context length in tokens to bytes in all; those that the job asks for."""
    unmeasured: str | None = None
    """Why `memory` lacks some: no reason not to make the file."""
    more_notes: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        unmeasured = (f"Its memory could not be predicted: {self.unmeasured}",) if self.unmeasured else ()
        return (*self.input.notes, *_fallback_notes(self.tensors), *unmeasured, *self.more_notes)

    @property
    def types(self) -> Mapping[str, Mapping[str, int]]:
        """Tensor type to how many tensors have it, and their bytes."""
        counts = Counter(tensor.type for tensor in self.tensors)
        sizes: Counter[str] = Counter()
        for tensor in self.tensors:
            sizes[tensor.type] += tensor.size
        return {kind: {"tensors": counts[kind], "bytes": size} for kind, size in sizes.most_common()}


def make_plan(
    job: QuantizeJob,
    scheme: Scheme,
    overrides: Overrides,
    origin: Origin,
    threads: int,
    folder: Path,
    keys: Sequence[tuple[str, str | int]] = (),
) -> Plan:
    """Plan the job; `folder` takes the sparse files, and `keys` are added to the metadata.

    Raises:
        UsageError: an override that cannot be honoured, or needs an importance matrix.
        PajamasError: what the converter or the engine cannot do.
    """
    outline = shared_outline(job, origin, folder) if job.dry_run else origin.outline(folder)
    if origin.final:
        return _final_plan(job, overrides, outline)
    overrides = fit_overrides(overrides, outline.header.tensors)
    task = make_task(outline, folder / "planned.gguf", scheme, overrides, threads, dry_run=True, contexts=job.contexts)
    # A dry run says what a scheme would be also before there is a matrix; `quantize` refuses to make it without.
    task = evolve(task, imatrix="" if asked(job) or scheme.needs_imatrix else None, keys=[list(pair) for pair in keys])
    with NO_PROGRESS.stage("", None, "tensors") as stage:
        outcome = run_task(task, folder, stage)
    if outcome.needs_imatrix:
        raise needs_imatrix("A type of --tensor-type")
    header = _quantized(outline.header, outcome.types, scheme.ftype)
    wanted = {**silent_fallbacks(scheme, overrides, outline.header.tensors, outcome.types), **outcome.wanted}
    tensors = _described(header, wanted)
    check_honoured(overrides, tensors)
    return Plan(
        size=outcome.size,
        tensors=tensors,
        input=outline,
        overrides=overrides,
        engine_version=outcome.version,
        architecture=architecture_of(header),
        memory=outcome.memory,
        unmeasured=outcome.unmeasured,
    )


def _final_plan(job: QuantizeJob, overrides: Overrides, outline: Input) -> Plan:
    """Of a 16-bit file, which the converter makes alone."""
    memory: Mapping[int, int] = {}
    unmeasured = None
    if job.contexts:
        try:
            memory = predict(outline.paths[0], job.contexts)
        except PajamasError as error:  # that it cannot be loaded is no reason not to make it
            unmeasured = f"{error.what} {error.why}".strip()
    return Plan(
        size=outline.size,
        tensors=_described(outline.header, {}),
        input=outline,
        overrides=overrides,
        engine_version=None,
        architecture=architecture_of(outline.header),
        memory=memory,
        unmeasured=unmeasured,
    )


def _quantized(header: GGUFHeader, types: Mapping[str, str], ftype: int) -> GGUFHeader:
    """The header with new types; `types` are in the order of writing. Offsets are those of before."""
    before = {tensor.name: tensor for tensor in header.tensors}
    tensors = []
    for name, kind in types.items():
        block, size = _BLOCKS[kind]
        shape = before[name].shape
        while len(shape) > 1 and shape[0] == 1:  # ggml states no dimension of one that has none after it
            shape = shape[1:]
        tensors.append(evolve(before[name], type=kind, shape=shape, size=math.prod(shape) // block * size))
    return evolve(header, metadata={**header.metadata, "general.file_type": ftype}, tensors=tuple(tensors))


def _described(header: GGUFHeader, wanted: Mapping[str, str]) -> tuple[TensorInfo, ...]:
    return tuple(
        TensorInfo(name=t.name, shape=t.shape, type=t.type, size=t.size, wanted=wanted.get(t.name))
        for t in header.tensors
    )


def make_task(
    source: Input,
    output: Path,
    scheme: Scheme,
    overrides: Overrides,
    threads: int,
    *,
    dry_run: bool,
    contexts: Sequence[int] = (),
) -> Task:
    return Task(
        sources=[str(path) for path in source.paths],
        output=str(output),
        ftype=scheme.ftype,
        threads=threads,
        dry_run=dry_run,
        vocabulary=_vocabulary(source.header.metadata) if dry_run else None,
        contexts=list(contexts),
        extra_buffers=extra_buffers() if contexts else True,
        patterns=overrides.pattern_ids(),
        embedding_type=TYPE_IDS[overrides.embedding] if overrides.embedding else None,
        output_type=TYPE_IDS[overrides.output] if overrides.output else None,
        realign=source.header.metadata.get("general.alignment", 32) != 32,
    )


def _vocabulary(metadata: Mapping[str, Any]) -> list[Any] | None:
    """`Task.vocabulary`. None if there is none, or if the header states another size than the lists have."""
    tokens, arch = metadata.get("tokenizer.ggml.tokens"), metadata.get("general.architecture")
    size_key = f"{arch}.vocab_size"
    if not isinstance(tokens, tuple) or metadata.get(size_key, len(tokens)) != len(tokens):
        return None
    lists = [key for key, value in metadata.items() if key.startswith("tokenizer.") and isinstance(value, tuple)]
    return [size_key, len(tokens), lists]


def _fallback_notes(tensors: tuple[TensorInfo, ...]) -> tuple[str, ...]:
    """One line for each pair of wanted and used type."""
    notes = []
    fallen = sorted((t for t in tensors if t.wanted), key=lambda t: (t.wanted or "", t.type))
    for (wanted, used), group in itertools.groupby(fallen, key=lambda t: (t.wanted, t.type)):
        members = list(group)
        names = ", ".join(tensor.name for tensor in members[:_LISTED])
        more = f" and {len(members) - _LISTED} more" if len(members) > _LISTED else ""
        widths = ", ".join(str(width) for width in sorted({tensor.shape[-1] for tensor in members}))
        notes.append(
            f"{len(members)} of {len(tensors)} tensors cannot be {wanted} (their width is {widths}) and are {used}: "
            f"{names}{more}."
        )
    return tuple(notes)
