"""Is an artifact still the one that its receipt describes?"""

from __future__ import annotations

import hashlib
import math
import shlex
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

from pajamas import digests, gguf_header, manifest, mlx_folder, safetensors_header, store
from pajamas.architecture import detect_architecture
from pajamas.architecture_gguf import scheme_of
from pajamas.errors import ModelNotFound, PajamasError, UsageError
from pajamas.manifest import Receipt
from pajamas.modelfiles import LocalFiles
from pajamas.operations.check import Check
from pajamas.operations.converted import is_scheme, no_such_artifact, receipts_of
from pajamas.operations.originals import gone_original
from pajamas.operations.remeasuring import remeasure
from pajamas.operations.resolving import resolve
from pajamas.plugins import PluginHost
from pajamas.progress import NO_PROGRESS, Progress


@frozen(kw_only=True)
class VerifyResult:
    path: Path
    checks: tuple[Check, ...]
    failures: Mapping[str, PajamasError] = field(factory=dict)
    """The receipt's path to why the quality could not be measured again: the original is gone."""

    @property
    def ok(self) -> bool:
        return not self.failures and all(check.ok for check in self.checks)


def verify(
    path: str | Path, *, deep: bool = False, progress: Progress = NO_PROGRESS, host: PluginHost | None = None
) -> VerifyResult:
    """Compare the receipts of one artifact, or of all in a folder, with what the files say now.

    Sizes, digests, tensors, types, parameters, bits per weight and architecture are read and computed anew. What the
    files cannot tell (source, command, versions, dates) is not checked.

    Args:
        path: an artifact, a folder that `convert` wrote, or its manifest; or the name of a model, which means all that
            was made from it in the model store. After a name or a folder, ":q8_0" means those of one scheme.
        deep: measure the quality again too, as the receipt says that it was measured, and compare.

    Raises:
        ModelNotFound: nothing is there, or it has no receipt.
        ModelFileError: the manifest is damaged.
        UsageError: `deep`, and nothing was measured.
        PajamasError: with `deep`, what measuring raises.
    """
    host = host or PluginHost()
    where = Path(path).expanduser()
    named = isinstance(path, str) and not where.exists()
    checks: list[Check] = []
    failures: dict[str, PajamasError] = {}
    found = _named(str(path), host) if named else _receipts(where)
    if deep and all(receipt.validation is None for _, receipt in found):
        raise UsageError(
            f"The quality of {path} was never measured.",
            "There is nothing to hold a new measurement against.",
            f"Measure it: pajamas validate --quantized {shlex.quote(str(path))}",
        )
    for folder, receipt in found:
        held = _check(folder, receipt, progress)
        if deep and all(check.ok for check in held):  # of other files than the receipt's nothing is measured
            if receipt.validation is not None and (gone := gone_original(folder, receipt)) is not None:
                failures[receipt.path] = gone
            else:
                held += remeasure(folder, receipt, host, progress)
        checks += held
    return VerifyResult(path=where, checks=tuple(checks), failures=failures)


def _named(name: str, host: PluginHost) -> list[tuple[Path, Receipt]]:
    source = resolve(host, name)
    if source.path is not None and (source.path / manifest.FILE_NAME).is_file():
        there = receipts_of(source)
        found = [(source.path, receipt) for _, receipt in there if is_scheme(receipt, source.quant or "")]
        if not found:
            raise no_such_artifact(host, name, source, there)
        return found
    made = [
        path for path, receipt in store.artifacts_of(source) if source.quant is None or is_scheme(receipt, source.quant)
    ]
    if not made:
        raise ModelNotFound(
            f"Nothing that was made from {name} is in the model store.",
            "Only artifacts that `pajamas convert` made can be verified.",
            "Name the artifact, or the folder of its manifest; `pajamas list` shows what is there.",
        )
    return [receipt for path in made for receipt in _receipts(path)]


def _receipts(path: Path) -> list[tuple[Path, Receipt]]:
    if path.name == manifest.FILE_NAME or (path / manifest.FILE_NAME).is_file():
        folder = path if path.is_dir() else path.parent
        return [(folder, receipt) for receipt in manifest.read(folder).artifacts]
    if not path.exists():
        raise ModelNotFound(f"There is nothing at {path}.", "", "Name an artifact, or the folder of its manifest.")
    found = manifest.find_receipt(path)
    if found is None:
        raise ModelNotFound(
            f"{path} has no receipt.",
            "No manifest.json beside or above it lists it.",
            "Only artifacts that `pajamas convert` made can be verified.",
        )
    return [found]


def _check(folder: Path, receipt: Receipt, progress: Progress) -> list[Check]:
    path = folder / receipt.path

    def check(what: str, expected: object, found: object) -> Check:
        return Check(artifact=receipt.path, what=what, expected=str(expected), found=str(found))

    present = {name: (folder / name).is_file() for name in receipt.files}
    checks = [check(f"file {name}", "present", "missing") for name, here in present.items() if not here]
    if checks:
        return checks
    extra = {file.relative_to(folder).as_posix() for file in digests.artifact_files(path)} - set(receipt.files)
    checks += [check(f"file {name}", "absent", "present") for name in sorted(extra)]
    checks += [
        check(f"sha256 of {name}", expected, digests.file_digest(folder / name, progress))
        for name, expected in receipt.files.items()
    ]
    try:
        found = (digests.tensor_digest(path, progress), digests.tokenizer_digest(path), digests.template_digest(path))
        facts = _FACTS[receipt.format](path) if receipt.format in _FACTS else {}
    except PajamasError as error:  # a damaged header is a finding here, and the other checks still count
        return [*checks, check("header", "sound", error.why or error.what)]
    expected = (receipt.tensor_digest, receipt.tokenizer_digest, receipt.template_digest)
    names = ("tensor digest", "tokenizer digest", "template digest")
    checks += [
        check(*values) for values in zip(names, expected, found, strict=True) if values != ("tensor digest", None, None)
    ]
    recorded = _recorded(receipt)
    return checks + [check(what, recorded[what], fact) for what, fact in facts.items() if what in recorded]


_LISTED = 3


def _recorded(receipt: Receipt) -> dict[str, str]:
    """What a receipt says of its artifact, in the words of `_facts`; None says nothing and is left out."""
    facts = {
        "size": str(receipt.size),
        "parameters": str(receipt.parameters),
        "bits per weight": f"{receipt.bits_per_weight or 0:.6f}",
        "scheme": str(receipt.scheme),
        "tensor types": str(dict(sorted(receipt.tensor_types.items()))),
        "tensors": _listing([(tensor.name, tensor.type, tensor.shape, tensor.size) for tensor in receipt.tensors]),
        "architecture": str(receipt.architecture),
    }
    return {what: text for what, text in facts.items() if text != "None"}


def _facts(path: Path) -> dict[str, str]:
    """What a GGUF file says of itself."""
    files = LocalFiles(path)
    header = gguf_header.read_split(files, path.name)
    architecture = detect_architecture(files)
    size = sum(file.stat().st_size for file in digests.artifact_files(path))
    parameters = architecture.parameters if architecture else None
    return {
        "size": str(size),
        "parameters": str(parameters),
        "bits per weight": f"{8 * size / parameters if parameters else 0:.6f}",
        "scheme": str(scheme_of(header)),
        "tensor types": str(dict(sorted(Counter(tensor.type for tensor in header.tensors).items()))),
        "tensors": _listing([(tensor.name, tensor.type, tensor.shape, tensor.size) for tensor in header.tensors]),
        "architecture": str(architecture),
    }


def _mlx_facts(path: Path) -> dict[str, str]:
    """What an MLX folder says of itself. No file of it names its scheme, and its architecture is its source's."""
    files = LocalFiles(path)
    tensors = mlx_folder.tensors_of(files)
    size = sum(files.sizes()[name] for name in safetensors_header.weight_files(files))
    parameters = sum(math.prod(tensor.shape) for tensor in tensors)
    return {
        "size": str(size),
        "parameters": str(parameters),
        "bits per weight": f"{8 * size / parameters if parameters else 0:.6f}",
        "tensor types": str(dict(sorted(Counter(tensor.type for tensor in tensors).items()))),
        "tensors": _listing([(tensor.name, tensor.type, tensor.shape, tensor.size) for tensor in tensors]),
    }


_FACTS = {"gguf": _facts, "mlx": _mlx_facts}


def _listing(tensors: list[tuple[str, str, tuple[int, ...], int]]) -> str:
    """All tensors in few words: a digest tells two lists apart, the first ones tell a person what they are."""
    ordered = sorted(tensors)
    digest = hashlib.sha256(repr(ordered).encode()).hexdigest()[:16]
    first = ", ".join(f"{name} {kind} {shape}" for name, kind, shape, _ in ordered[:_LISTED])
    return f"{len(ordered)} ({digest}): {first}, ..."
