"""Where artifacts lie that were converted without `--output`, and how they are found again by their source."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pajamas import manifest
from pajamas.errors import PajamasError
from pajamas.manifest import Manifest, Receipt
from pajamas.source import Source

FOLDER_VARIABLE = "PAJAMAS_MODELS"


def models_folder() -> Path:
    """PAJAMAS_MODELS, or `models` in the user's data folder."""
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        return Path(named).expanduser()
    import platformdirs

    return platformdirs.user_data_path("pajamas") / "models"


def manifests() -> Iterator[tuple[Path, Manifest]]:
    """Every readable manifest of the store with its folder, in order of name."""
    root = models_folder()
    for path in sorted(root.glob(f"*/{manifest.FILE_NAME}")) if root.is_dir() else ():
        try:
            yield path.parent, manifest.read(path)
        except PajamasError:
            continue  # `pajamas verify` on that folder says what is wrong; others must still be found


def artifacts_of(source: Source) -> list[tuple[Path, Receipt]]:
    """The store's artifacts that were made from this source, as (path, receipt)."""
    return [
        (folder / receipt.path, receipt)
        for folder, found in manifests()
        for receipt in found.artifacts
        if _made_from(receipt, source) and (folder / receipt.path).exists()
    ]


def _made_from(receipt: Receipt, source: Source) -> bool:
    if source.kind == "hub":
        same = receipt.source.repo_id == source.repo_id
        return same and source.revision in (None, receipt.source.revision, receipt.source.commit)
    return source.path is not None and receipt.source.text == str(source.path.resolve())
