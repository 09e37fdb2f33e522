"""Is an artifact still the one that its receipt describes?"""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from pajamas import digests, manifest
from pajamas.errors import ModelNotFound, PajamasError
from pajamas.manifest import Receipt
from pajamas.progress import NO_PROGRESS, Progress


@frozen(kw_only=True)
class Check:
    """One recorded value against what is there now."""

    artifact: str
    what: str
    expected: str
    found: str

    @property
    def ok(self) -> bool:
        return self.expected == self.found


@frozen(kw_only=True)
class VerifyResult:
    path: Path
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)


def verify(path: str | Path, *, progress: Progress = NO_PROGRESS) -> VerifyResult:
    """Recompute sizes and digests of one artifact, or of all in a folder, and compare them with the receipts.

    Raises:
        ModelNotFound: nothing is there, or it has no receipt.
        ModelFileError: the manifest is damaged.
    """
    path = Path(path).expanduser()
    checks: list[Check] = []
    for folder, receipt in _receipts(path):
        checks += _check(folder, receipt, progress)
    return VerifyResult(path=path, checks=tuple(checks))


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
    except PajamasError as error:  # a damaged header is a finding here, and the other checks still count
        return [*checks, check("header", "sound", error.why or error.what)]
    expected = (receipt.tensor_digest, receipt.tokenizer_digest, receipt.template_digest)
    names = ("tensor digest", "tokenizer digest", "template digest")
    return checks + [check(*values) for values in zip(names, expected, found, strict=True)]
