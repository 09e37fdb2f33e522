"""A prompt's keys and values in a file, so that a later session need not compute them again.

The file is mlx-lm's own (safetensors, read by `mlx_lm.generate --prompt-cache-file` too). Its metadata says besides
which tokens it holds, which model made them, and the SHA-256 of all that follows the header.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import asdict

from pajamas.errors import ContextOverflow, EngineError, ModelFileError, UsageError
from pajamas.modelfiles import LocalFiles, parse_json
from pajamas.safetensors_header import read_file_header
from pajamas_mlx import engine

if TYPE_CHECKING:
    from pajamas_mlx.session.facts import Facts
    from pajamas_mlx.session.model import Plan
    from pajamas_mlx.session.sequence import Sequence

_SAMPLES, _SAMPLE_BYTES = 64, 4096
_OURS = "0.pajamas_"  # where mlx-lm puts the first level of metadata


def fingerprint(facts: Facts, plan: Plan) -> str:
    """A digest of what a cache depends on: config, samples of the weights, the types, the engine's versions."""
    loaded = {**asdict(plan), "folder": None}
    known = [importlib.metadata.version("mlx"), engine.version(), loaded, facts.config]
    digest = hashlib.sha256(json.dumps(known, sort_keys=True).encode())
    for name in facts.files:
        path = facts.folder / name
        size = path.stat().st_size
        with path.open("rb") as stream:
            for number in range(_SAMPLES):
                stream.seek(size * number // _SAMPLES)
                digest.update(stream.read(_SAMPLE_BYTES))
    return digest.hexdigest()


def save(sequence: Sequence | None, device: str, path: Path, model: str) -> None:
    """Write the sequence's tokens and cache; beside the target first, then renamed.

    Raises:
        UsageError: there is nothing to save yet.
        EngineError: the file cannot be written.
    """
    if sequence is None or not sequence.tokens:
        raise UsageError("There is no prompt to save.", "This session has computed none yet.", "Generate first.")
    if path.exists() and not path.is_file():
        raise EngineError(f"{path} cannot be written.", "It is no file, and must not be replaced.", "Name another.")
    metadata = {"pajamas_tokens": json.dumps(sequence.tokens), "pajamas_model": model}
    caches = engine.engine().caches
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with tempfile.TemporaryDirectory(prefix=".pajamas-", dir=path.parent) as folder:
            written = Path(folder) / "cache.safetensors"
            engine.compute(device, lambda: caches.save_prompt_cache(str(written), sequence.cache, metadata))
            _copy_with_digest(written, part)
        os.replace(part, path)
    except OSError as error:
        raise EngineError(f"{path} cannot be written.", str(error), "Check the folder and the disk.") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def load(vacant: Callable[[], Sequence], device: str, path: Path, fingerprint: str, longest: int) -> int:
    """Put a saved cache into the sequence that `vacant` gives once the file is checked; how many tokens it holds.

    Raises:
        ModelFileError: the file is missing, damaged, or no prompt cache of pajamas.
        UsageError: another model, type or engine made it.
        ContextOverflow: it holds more tokens than this session's context.
    """
    metadata = _checked_metadata(path)
    if metadata.get(f"{_OURS}model") != fingerprint:
        raise UsageError(
            f"{path} is the cache of another model.", "Or of another compute type or engine version.", "Make it anew."
        )
    tokens = _tokens(path, metadata)
    if len(tokens) > longest:
        raise ContextOverflow(
            f"The cached prompt has {len(tokens):,} tokens.",
            f"The context holds {longest:,}.",
            "Load with a longer context.",
        )

    sequence = vacant()

    def restore() -> list[Any]:
        kinds = [type(layer).__name__ for layer in sequence.model.new_cache()]
        if [metadata.get(f"1.{place}") for place in range(len(kinds))] != kinds or f"1.{len(kinds)}" in metadata:
            raise _damaged(path, "it holds other kinds of layers than the model has")
        found: list[Any] = engine.engine().caches.load_prompt_cache(_named(path, folder))
        engine.engine().mx.eval([layer.state for layer in found])  # read now: the file may go away
        return found

    try:
        with tempfile.TemporaryDirectory(prefix="pajamas-") as folder:
            cache = engine.compute(device, restore)
    except (EngineError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from error
    sequence.restored(tokens, cache)
    return len(tokens)


def _named(path: Path, folder: str) -> str:
    """The same file under a name that tells MLX its format."""
    link = Path(folder) / "cache.safetensors"
    link.symlink_to(path.resolve())
    return str(link)


def _copy_with_digest(written: Path, path: Path) -> None:
    with written.open("rb") as source:
        length = int.from_bytes(source.read(8), "little")
        header = json.loads(source.read(length))
        header["__metadata__"][f"{_OURS}sha256"] = _digest(written, 8 + length)
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        source.seek(8 + length)
        with path.open("wb") as target:
            target.write(len(text).to_bytes(8, "little") + text)
            while data := source.read(1 << 20):
                target.write(data)
            target.flush()
            os.fsync(target.fileno())


def _checked_metadata(path: Path) -> dict[str, Any]:
    """The metadata of a file whose header is sound, and whose data is what was written."""
    if not path.is_file():
        raise ModelFileError(f"{path} cannot be read.", "There is no such file.", "Check the path.")
    files = LocalFiles(path)
    try:
        read_file_header(files, path.name)
        length = int.from_bytes(files.read(path.name, 0, 8), "little")
        header = parse_json(files.read(path.name, 8, length), "the header", str(path))
    except ModelFileError as error:
        why = f"Another engine has written it, or it is damaged: {error.why}"
        raise ModelFileError(f"{path} is no MLX prompt cache.", why[:500], "Make it anew.") from error
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict) or not isinstance(metadata.get(f"{_OURS}sha256"), str):
        raise _damaged(path, "it is not one that pajamas wrote")
    if metadata[f"{_OURS}sha256"] != _digest(path, 8 + length):
        raise _damaged(path, "its checksum is wrong")
    return metadata


def _tokens(path: Path, metadata: dict[str, Any]) -> list[int]:
    try:
        tokens = json.loads(metadata[f"{_OURS}tokens"])
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, "it does not say which tokens it holds") from error
    if not isinstance(tokens, list) or not all(type(token) is int for token in tokens):
        raise _damaged(path, "it does not say which tokens it holds")
    return tokens


def _digest(path: Path, offset: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        stream.seek(offset)
        while data := stream.read(1 << 20):
            digest.update(data)
    return digest.hexdigest()


def _damaged(path: Path, why: str) -> ModelFileError:
    return ModelFileError(f"{path} is not a sound prompt cache.", why[:500], "Make it anew.")
