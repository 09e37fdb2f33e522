"""What was made from a model: the receipts that a reference means."""

from __future__ import annotations

from pathlib import Path

from pajamas import manifest, store
from pajamas.errors import ModelNotFound
from pajamas.manifest import Receipt
from pajamas.source import Source


def receipts_of(source: Source) -> list[tuple[Path, Receipt]]:
    """The artifacts that a folder or a repository means, as (path, receipt): those of the folder's own manifest, else
    those of the store. Of a repository with a scheme only where one has it: a GGUF repository's own file comes first.

    Raises:
        ModelFileError: the folder's manifest is damaged.
    """
    if source.path is not None and (source.path / manifest.FILE_NAME).is_file():
        return [(source.path / receipt.path, receipt) for receipt in manifest.read(source.path).artifacts]
    receipts = store.artifacts_of(source)
    if source.kind != "hub" or source.quant is None:
        return receipts
    own = [(path, receipt) for path, receipt in receipts if not _is_gguf(receipt.source.text)]
    return own if any(is_scheme(receipt, source.quant) for _, receipt in own) else []


def is_scheme(receipt: Receipt, scheme: str) -> bool:
    return (receipt.scheme or "").lower() == scheme.lower()


def no_such_artifact(asked: str, scheme: str, there: list[str]) -> ModelNotFound:
    """The error for a scheme that a model was not converted to; `there` are those that it was."""
    model = asked.removesuffix(f":{scheme}")
    return ModelNotFound(
        f"{model!r} has no artifact of the scheme {scheme}.",
        f"It has: {', '.join(there)}." if there else "It was not converted yet.",
        f"pajamas convert --model {model} --precision {scheme.lower()}",
    )


def _is_gguf(source: str) -> bool:
    """Whether an artifact was made from a file of a GGUF repository (`Org/Name:BF16`, `hf://Org/Name/F.gguf`)."""
    return source.endswith(".gguf") or ":" in source.removeprefix("hf://")
