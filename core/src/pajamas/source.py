"""What a person may write where a model is asked for, parsed: `parse_source`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from attrs import frozen


@frozen(kw_only=True)
class Source:
    """A model reference. `kind` says which of the other fields hold."""

    text: str
    """As the person wrote it, alias already replaced."""
    kind: Literal["hub", "folder", "file"]
    repo_id: str | None = None
    revision: str | None = None
    """The branch, tag or commit that was asked for; None is the default branch."""
    commit: str | None = None
    """The commit that the revision stood for when it was resolved (40 hexadecimal digits)."""
    filename: str | None = None
    """One file of the repository, relative to its root."""
    quant: str | None = None
    """The quantization asked of a repository of GGUF files: the `Q4_K_M` of `org/name:Q4_K_M`."""
    path: Path | None = None

    @property
    def name(self) -> str:
        """The model's own name: the repository's or folder's last part, or the file's stem."""
        if self.kind == "hub":
            return (self.repo_id or "").rpartition("/")[2]
        assert self.path is not None
        return self.path.stem if self.kind == "file" else self.path.resolve().name
