"""What a quantization would write, exactly, from headers alone.

Every quantization is planned so before it begins: options that cannot be honoured are refused at once and not after
an hour, and the finished file is held against the plan.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from pajamas.gguf_header import read_header
from pajamas.modelfiles import LocalFiles
from pajamas.progress import NO_PROGRESS
from pajamas.types import QuantizeJob, TensorInfo
from pajamas_gguf.quantize.child import Task
from pajamas_gguf.quantize.origin import Input, Origin
from pajamas_gguf.quantize.overrides import Overrides, check_honoured, fit_overrides, silent_fallbacks
from pajamas_gguf.quantize.runner import run_task
from pajamas_gguf.schemes import TYPE_IDS, Scheme, needs_imatrix

_LISTED = 3


@frozen(kw_only=True)
class Plan:
    """The file to be."""

    path: Path
    """Its true header, with a hole for the data: the file has the final size."""
    tensors: tuple[TensorInfo, ...]
    """In the order of the file."""
    input: Input
    overrides: Overrides
    engine_version: str | None
    """llama.cpp's; None where its quantizer is not needed."""

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return self.path.stat().st_size

    @property
    def notes(self) -> tuple[str, ...]:
        return (*self.input.notes, *_fallback_notes(self.tensors))

    @property
    def types(self) -> Mapping[str, Mapping[str, int]]:
        """Tensor type to how many tensors have it, and their bytes."""
        counts = Counter(tensor.type for tensor in self.tensors)
        sizes: Counter[str] = Counter()
        for tensor in self.tensors:
            sizes[tensor.type] += tensor.size
        return {kind: {"tensors": counts[kind], "bytes": size} for kind, size in sizes.most_common()}


def make_plan(
    job: QuantizeJob, scheme: Scheme, overrides: Overrides, origin: Origin, threads: int, folder: Path
) -> Plan:
    """Plan the job; `folder` takes the sparse files.

    Raises:
        UsageError: an override that cannot be honoured.
        UnsupportedFeature: an override that needs an importance matrix.
        PajamasError: what the converter or the engine cannot do.
    """
    outline = origin.outline(folder)
    if origin.final:
        (path,), version, wanted = outline.paths, None, {}
    else:
        overrides = fit_overrides(overrides, outline.header.tensors)
        path = folder / "planned.gguf"
        task = make_task(outline, path, scheme, overrides, threads, dry_run=True)
        with NO_PROGRESS.stage("", None, "tensors") as stage:
            outcome = run_task(task, folder, stage)
        if outcome.needs_imatrix:
            raise needs_imatrix("A type of --tensor-type")
        version = outcome.version
        wanted = {**silent_fallbacks(scheme, overrides, outline.header.tensors, outcome.types), **outcome.wanted}
    tensors = tuple(
        TensorInfo(name=t.name, shape=t.shape, type=t.type, size=t.size, wanted=wanted.get(t.name))
        for t in read_header(LocalFiles(path), path.name).tensors
    )
    check_honoured(overrides, tensors)
    return Plan(path=path, tensors=tensors, input=outline, overrides=overrides, engine_version=version)


def make_task(
    source: Input, output: Path, scheme: Scheme, overrides: Overrides, threads: int, *, dry_run: bool
) -> Task:
    return Task(
        sources=[str(path) for path in source.paths],
        output=str(output),
        ftype=scheme.ftype,
        threads=threads,
        dry_run=dry_run,
        patterns=overrides.pattern_ids(),
        embedding_type=TYPE_IDS[overrides.embedding] if overrides.embedding else None,
        output_type=TYPE_IDS[overrides.output] if overrides.output else None,
        realign=source.header.metadata.get("general.alignment", 32) != 32,
    )


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
