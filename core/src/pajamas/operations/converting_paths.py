"""Where a conversion writes: one folder for a model, with the artifacts of each format in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path

from pajamas import manifest, store
from pajamas.errors import TargetExists, UsageError
from pajamas.profiles import Target
from pajamas.types import BackendInfo


def find_paths(
    output: str | Path | None, name: str, targets: Sequence[Target], backends: Mapping[str, BackendInfo]
) -> tuple[Path, list[Path]]:
    """The manifest's folder and each target's path, in design.md's layout.

    Raises:
        UsageError: one file is named for what it cannot hold.
        ModelFileError: the folder's manifest is damaged.
    """
    suffixes = {format: suffix for format, info in backends.items() if (suffix := file_suffix(format, info))}
    named = {".gguf": "gguf", **{suffix: format for format, suffix in suffixes.items()}}
    format = next((format for suffix, format in named.items() if str(output or "").lower().endswith(suffix)), None)
    if output is not None and format is not None:
        if [target.format for target in targets] != [format]:
            raise UsageError(
                f"--output {output} is one file.",
                f"A file of that name holds one {format} artifact.",
                "Name a folder for other or more formats.",
            )
        path = Path(output).expanduser()
        return path.parent, [path]
    folder = store.models_folder() / name.lower() if output is None else Path(output).expanduser()
    if (file := next((one for one in (folder, *folder.parents) if one.is_file()), None)) is not None:
        raise UsageError(f"{file} is a file.", "Artifacts go into a folder.", "Name another --output.")
    return folder, [_path(folder, name, target, suffixes.get(target.format)) for target in targets]


def file_suffix(format: str, info: BackendInfo) -> str | None:
    """How files of the format end; None for a format whose artifacts are folders."""
    return ".gguf" if format == "gguf" else next((s for s, of in info.file_suffixes.items() if of == format), None)


def refuse_existing(paths: Sequence[Path]) -> None:
    """Raises TargetExists where something stands already."""
    for path in paths:
        if path.is_file() or (path.is_dir() and any(path.iterdir())):
            raise TargetExists(
                f"{path} is there already.", "Nothing is replaced unasked.", "Use --force, or another --output."
            )


@contextmanager
def no_empty_folders(path: Path) -> Iterator[None]:
    """Folders above `path` that come to be in the block, and hold nothing at its end, are removed again."""
    new = list(takewhile(lambda parent: not parent.exists(), path.parents))
    try:
        yield
    finally:
        for parent in new:
            with suppress(OSError):  # it holds something, or was never made
                parent.rmdir()


def _path(folder: Path, name: str, target: Target, suffix: str | None) -> Path:
    """One file a scheme in the format's folder. Where artifacts are folders the first is the format's own (`mlx`), and
    those of further schemes stand beside it (`mlx-6bit`)."""
    if suffix:
        return folder / target.format / f"{name.lower()}-{target.scheme.lower()}{suffix}"
    first, further = target.format, f"{target.format}-{target.scheme.lower()}"
    made = manifest.read(folder).artifacts if (folder / manifest.FILE_NAME).is_file() else ()
    schemes = {receipt.path: receipt.scheme for receipt in made if (folder / receipt.path).exists()}
    taken = schemes.get(first, target.scheme) != target.scheme or schemes.get(further) == target.scheme
    return folder / (further if taken else first)
