"""What was made from a model: the receipts that a reference means."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pajamas import manifest, store
from pajamas.dispatch import DEVICES
from pajamas.errors import ModelFileError, ModelNotFound, PajamasError, UnsupportedModel
from pajamas.manifest import Receipt
from pajamas.plugins import PluginHost
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


def refuse_damaged(folder: Path, format: str | None) -> None:
    """Raises ModelFileError for an artifact that has lost files, and so its format: by what is left it is `format`."""
    found = manifest.find_receipt(folder)
    if found is None or found[1].format == format:
        return
    home, receipt = found
    if missing := [name for name in receipt.files if not (home / name).is_file()]:
        options = f"--formats {receipt.format}" + (f" --precision {receipt.scheme.lower()}" if receipt.scheme else "")
        again = f"--model {shlex.quote(receipt.source.text)} {options} --output {shlex.quote(str(home))} --force"
        raise ModelFileError(
            f"{folder} is damaged.",
            f"By its receipt it is {receipt.format} {receipt.scheme or ''}, and it lacks {', '.join(missing)}.",
            f"`pajamas verify {shlex.quote(str(folder))}` says what else. Make it again: pajamas convert {again}",
        )


def no_such_artifact(
    host: PluginHost, asked: str, source: Source, receipts: Sequence[tuple[Path, Receipt]]
) -> ModelNotFound:
    """The error for a scheme that a model was not converted to; `receipts` are of what it was converted to."""
    scheme = source.quant or ""
    whole = asked.removesuffix(f":{scheme}")
    model, output = whole, ""
    if receipts and source.path is not None and (source.path / manifest.FILE_NAME).is_file():
        # A folder of artifacts is no model.
        model, output = receipts[0][1].source.text, f" --output {shlex.quote(whole)}"
    there = ", ".join(receipt.scheme or receipt.format for _, receipt in receipts)
    why = f"It has: {there}." if there else "It was not converted yet."
    if (format := _format_of(host, scheme)) is None:
        return ModelNotFound(
            f"{whole!r} has no artifact of the scheme {scheme}.",
            f"{why} No backend here makes such a scheme.",
            "Name one that it has." if there else f"pajamas convert --model {shlex.quote(model)}",
        )
    named = "" if format == "gguf" else f" --formats {format}"
    return ModelNotFound(
        f"{whole!r} has no artifact of the scheme {scheme}.",
        why,
        f"pajamas convert --model {shlex.quote(model)}{named} --precision {scheme.lower()}{output}",
    )


def _format_of(host: PluginHost, scheme: str) -> str | None:
    """The format that has such a scheme, by what the backends here make; None if none does."""
    for backend in host.working_backends():
        with suppress(PajamasError):  # one that cannot describe itself makes nothing
            info = backend.describe()
            names = (*info.schemes, *info.scheme_aliases)
            if info.formats and scheme.lower() in (name.lower() for name in names):
                return info.formats[0]
    return None


def _is_gguf(source: str) -> bool:
    """Whether an artifact was made from a file of a GGUF repository (`Org/Name:BF16`, `hf://Org/Name/F.gguf`)."""
    return source.endswith(".gguf") or ":" in source.removeprefix("hf://")


def is_foreign(receipt: Receipt, backend: str | None) -> bool:
    """Whether it is in the sources' own format, quantized as another backend than the one that was named does it."""
    return receipt.format == "safetensors" and backend not in (None, *DEVICES, receipt.backend)


def foreign(receipt: Receipt, backend: str | None) -> UnsupportedModel:
    why = f"It is quantized as backend {receipt.backend!r} does it."
    what = f"Backend {backend!r} does not load the {receipt.scheme} artifact."
    return UnsupportedModel(what, why, f"Name that one: --backend {receipt.backend}")
