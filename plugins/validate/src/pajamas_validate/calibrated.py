"""A text that a model was calibrated with may not judge it: it looks better on it than it is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path, PurePath

from pajamas import manifest
from pajamas.errors import UsageError
from pajamas.text_overlap import LinePrint
from pajamas_validate.datasets import DATASETS


def refuse_calibrated(name: str, text: str, artifact: Path) -> None:
    """Hold the text against what the artifact's receipt says that it was calibrated with.

    A receipt has a print of the lines of a text that pajamas calibrated with. Of a ready importance matrix there are
    only the names of its texts, and the text's file or dataset is compared with them.

    Raises:
        UsageError: it is the same text, or more than half of one stands in the other.
    """
    found = manifest.find_receipt(artifact)
    calibration = found[1].details.get("calibration") if found else None
    if not isinstance(calibration, Mapping):
        return
    if _is_same(text, calibration):
        raise _refused(name, artifact, f"{calibration.get('corpus')}, or more than half of one stands in the other")
    for dataset in calibration.get("datasets") or ():
        if isinstance(dataset, str) and _file(dataset) in _names(name):
            raise _refused(name, artifact, f"a ready importance matrix that names {dataset}")


def _is_same(text: str, calibration: Mapping[str, object]) -> bool:
    if calibration.get("corpus_sha256") == hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest():
        return True
    lines = LinePrint.read(calibration.get("corpus_lines"))
    return lines is not None and lines.is_mostly(text)


def _file(name: str) -> str:
    """The last part of a path as any system writes it; one file may be named in many ways."""
    return PurePath(name.replace("\\", "/")).name.lower()


def _names(name: str) -> set[str]:
    dataset = DATASETS.get(name)
    return {_file(name), _file(dataset.member)} if dataset else {_file(name)}


def _refused(name: str, artifact: Path, why: str) -> UsageError:
    return UsageError(
        f"{name} cannot judge {artifact.name}: it was calibrated with it.",
        f"Its receipt names {why}. A model that is judged by the text it was calibrated with looks better than it is.",
        "Give another text: --text FILE",
    )
