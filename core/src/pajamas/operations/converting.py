"""From a source model to receipted artifacts, one for each format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve, field, frozen

from pajamas import hub, manifest, receipts
from pajamas.dispatch import Choice, choose
from pajamas.environments.finding import interpreter
from pajamas.errors import PajamasError, UsageError
from pajamas.manifest import Manifest, Receipt
from pajamas.modelfiles import LocalFiles
from pajamas.operations.converting_options import settle
from pajamas.operations.converting_paths import find_paths, no_empty_folders, refuse_existing
from pajamas.operations.detecting import detect, weight_sizes
from pajamas.operations.resolving import model_name, names_default, resolve_whole
from pajamas.plugins import PluginHost
from pajamas.profiles import Target, read_formats, resolve_targets
from pajamas.progress import NO_PROGRESS, Progress
from pajamas.quantize_options import honoured, refuse_unknown
from pajamas.source import Source
from pajamas.types import Architecture, Artifact, BackendInfo, QuantizeJob
from pajamas.validation import ValidationResult


@frozen(kw_only=True)
class ConvertResult:
    """What was made, or with a dry run would be made."""

    name: str
    source: Source
    architecture: Architecture
    folder: Path
    targets: tuple[Target, ...]
    artifacts: tuple[Artifact, ...]
    """In the order of `targets`, without the failed ones."""
    receipts: tuple[Receipt, ...] = ()
    manifest_path: Path | None = None
    failures: Mapping[str, PajamasError] = field(factory=dict)
    """Format to what went wrong; the other formats are made all the same."""
    validations: Mapping[str, ValidationResult] = field(factory=dict)
    """Format to what was measured, where that was asked for."""
    validation_failures: Mapping[str, PajamasError] = field(factory=dict)
    """Format to why it could not be measured."""
    source_size: int = 0
    """Bytes of the source's weights."""
    reasons: tuple[str, ...] = ()
    """Why these backends were chosen, a sentence each."""

    def _path(self, format: str) -> Path | None:
        return next((artifact.path for artifact in self.artifacts if artifact.format == format), None)

    @property
    def gguf_path(self) -> Path | None:
        return self._path("gguf")

    @property
    def mlx_path(self) -> Path | None:
        return self._path("mlx")

    @property
    def validation(self) -> ValidationResult | None:
        """Of the first artifact that was measured."""
        return next(iter(self.validations.values()), None)

    @property
    def size_mb(self) -> float:
        """Megabytes (10^6) of all artifacts."""
        return sum(artifact.size for artifact in self.artifacts) / 1e6


@names_default
def convert(
    model: str | Path | None = None,
    output: str | Path | None = None,
    formats: str | Sequence[str] = ("gguf",),
    precision: str | None = None,
    profile: str | None = None,
    aggressive: bool = False,
    validate: bool = False,
    dry_run: bool = False,
    force: bool = False,
    backend: str | None = None,
    *,
    threads: int | None = None,
    outtype: str | None = None,
    tensor_types: Sequence[tuple[str, str]] = (),
    embedding_type: str | None = None,
    output_type: str | None = None,
    keep_16bit: bool = False,
    converter: str | None = None,
    calibration_samples: int | None = None,
    calibration_text: str | Path | None = None,
    imatrix: str | Path | None = None,
    keep_imatrix: bool = False,
    mixed_precision: bool = False,
    embedding_bits: int | None = None,
    group_size: int | None = None,
    target_bpw: float | None = None,
    validation: Mapping[str, Any] | None = None,
    command: str = "",
    progress: Progress = NO_PROGRESS,
    host: PluginHost | None = None,
) -> ConvertResult:
    """Download, convert and quantize a model, and write its manifest.

    Args:
        model: a Hub id, a local folder, an alias, or a 16-bit GGUF file; None is the default model.
        output: the folder of the result, or for one GGUF the file; None is a folder of the model store.
        formats: "gguf", "mlx" ..., or several as "gguf,mlx".
        precision: one scheme for each format, separated by colons; None lets the profile decide.
        profile: "balanced", "ultra" or "hq".
        aggressive: uniform low precision where the format has a mixed recipe.
        validate: measure each artifact against the original, record that in its receipt and write a report beside.
        dry_run: compute sizes and memory from headers alone; nothing is downloaded but headers, nothing written.
        force: replace what is there.
        backend: the backend that makes the artifacts; None lets the format decide.
        threads, outtype, tensor_types, embedding_type, output_type, keep_16bit, converter, calibration_samples,
            calibration_text, imatrix, keep_imatrix, mixed_precision, embedding_bits, group_size, target_bpw: as
            `types.QuantizeJob`. Each goes to those of the formats whose backend honours it; one that none does is
            refused.
        validation: with `validate`: arguments of the operation `validate`, such as `text` and `options`.
        command: the command line, for the receipt.

    Raises:
        UsageError, TargetExists: before anything is downloaded.
        UnsupportedModel: no converter for this architecture.
        PajamasError: of the first format, if all failed; else failures are in the result.
    """
    host = host or PluginHost()
    wanted = read_formats(formats)
    choices = [choose(host, format, backend, quantizing=True) for format in wanted]
    backends = {format: choice.info for format, choice in zip(wanted, choices, strict=True)}
    options: dict[str, Any] = {
        "threads": threads,
        "outtype": outtype,
        "tensor_types": tuple(tensor_types),
        "embedding_type": embedding_type,
        "output_type": output_type,
        "keep_16bit": keep_16bit,
        "converter": converter,
        "calibration_samples": calibration_samples,
        "calibration_text": None if calibration_text is None else Path(calibration_text).expanduser(),
        "imatrix": None if imatrix is None else Path(imatrix).expanduser(),
        "keep_imatrix": keep_imatrix,
        "mixed_precision": mixed_precision,
        "embedding_bits": embedding_bits,
        "group_size": group_size,
        "target_bpw": target_bpw,
    }
    refuse_unknown(options, list(backends.values()))
    if validate:
        from pajamas.operations.proof import refuse_unmeasurable  # which converts originals

        refuse_unmeasurable(host, dry_run, validation or {}, options["calibration_text"])
    targets = resolve_targets(wanted, precision, profile, aggressive, backends=backends)
    if any(choice.device not in (None, "cpu") for choice in choices):
        raise UsageError(f"Conversion cannot run on {backend}.", "It runs on the processor.", "Leave --backend out.")
    for info in backends.values():
        if info.quantize_environment is not None and not dry_run:
            interpreter(info.quantize_environment, purpose=f"Quantizing for {info.engine}")  # before a download
    if not dry_run and (imatrix, calibration_samples, calibration_text) == (None, None, None):
        _refuse_uncalibrated(targets, backends)
    source = resolve_whole(host, model)
    name = model_name(host, model, source)
    folder, paths = find_paths(output, name, targets, backends)
    if not dry_run and (folder / manifest.FILE_NAME).is_file():
        manifest.read(folder)  # one that is not ours is refused now, not when the work is done
    if not (force or dry_run):
        refuse_existing(paths)
    source, files = hub.open_files(source)
    architecture = detect(host, files)
    jobs = [
        QuantizeJob(
            files=files,
            source=source,
            architecture=architecture,
            format=target.format,
            scheme=target.scheme,
            output=path,
            name=name,
            force=force,
            dry_run=dry_run,
            aggressive=target.aggressive,
            **honoured(options, backends[target.format]),
            **_limits(target, validation or {}),
            progress=progress,
        )
        for target, path in zip(targets, paths, strict=True)
    ]
    settled = settle(jobs, choices)
    if not dry_run:
        source, here = hub.download(source, progress=progress)
        files = LocalFiles(here)
    result = ConvertResult(
        name=name,
        source=source,
        architecture=architecture,
        folder=folder,
        targets=tuple(targets),
        artifacts=(),
        source_size=sum(weight_sizes(files).values()),
        reasons=tuple(dict.fromkeys(reason for choice in choices for reason in choice.reasons)),
    )
    for target, choice, (job, notes) in zip(targets, choices, settled, strict=True):
        result = _make(result, target, choice, evolve(job, files=files, source=source), notes, command)
    if result.failures and not result.artifacts:
        raise next(iter(result.failures.values()))
    if validate:
        from pajamas.operations.proof import prove  # which converts originals

        result = prove(result, validation or {}, host=host, progress=progress)
    return result


def _make(
    result: ConvertResult, target: Target, choice: Choice, job: QuantizeJob, notes: tuple[str, ...], command: str
) -> ConvertResult:
    try:
        with no_empty_folders(job.output):
            artifact = choice.backend.quantize(job)
        artifact = evolve(artifact, notes=(*artifact.notes, *notes))
        if job.dry_run:
            return evolve(result, artifacts=(*result.artifacts, artifact))
        receipt = receipts.make_receipt(result.folder, job, artifact, target, choice, command)
        with receipts.locked(result.folder):
            path = manifest.write(result.folder, _manifest_of(result).with_receipt(receipt))
    except PajamasError as error:
        return evolve(result, failures={**result.failures, target.format: error})
    return evolve(
        result,
        artifacts=(*result.artifacts, artifact),
        receipts=(*result.receipts, receipt),
        manifest_path=path,
    )


def _limits(target: Target, validation: Mapping[str, Any]) -> dict[str, Any]:
    """What will be accepted of the artifact: as its validation will judge it, where one is asked for."""
    given = validation.get("options") or {}
    increase, divergence = (
        (target.profile.threshold, target.profile.divergence) if target.profile is not None else (None, None)
    )
    return {
        "max_increase": given.get("max_increase", increase),
        "max_divergence": given.get("max_divergence", divergence),
    }


def _refuse_uncalibrated(targets: Sequence[Target], backends: Mapping[str, BackendInfo]) -> None:
    for target in targets:
        if target.scheme in backends[target.format].calibrated_schemes:
            raise UsageError(
                f"{target.scheme} needs an importance matrix.",
                "At so few bits the weights must be weighted by what the model does with them.",
                "Add --calibration-samples 512, or a ready one: --imatrix FILE.",
            )


def _manifest_of(result: ConvertResult) -> Manifest:
    """What the folder's manifest says already; receipts whose artifact is gone are dropped."""
    if not (result.folder / manifest.FILE_NAME).is_file():
        return Manifest(name=result.name)
    found = manifest.read(result.folder)
    return evolve(found, artifacts=tuple(item for item in found.artifacts if (result.folder / item.path).exists()))
