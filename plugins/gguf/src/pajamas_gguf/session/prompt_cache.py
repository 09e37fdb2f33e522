"""A prompt's keys and values in a file, so that a later session need not compute them again.

The engine writes its state of one sequence; a trailer of ours follows: a JSON line with the model's fingerprint and the
SHA-256 of the state, the line's length (8 bytes, little endian) and a mark. The engine trusts what it reads, so nothing
reaches it that the digest does not vouch for.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pajamas.errors import ContextOverflow, EngineError, ModelFileError, UsageError
from pajamas_gguf import engine

if TYPE_CHECKING:
    from collections.abc import Callable

    from pajamas_gguf.session.sequence import Sequence

_MARK = b"pajamas prompt 1"
_TAIL = struct.Struct("<Q16s")
_LONGEST_LINE = 1 << 16
_SAMPLES, _SAMPLE_BYTES = 64, 4096


def fingerprint(parts: tuple[Path, ...], data_offset: int, kv_type: str) -> str:
    """A digest of what a cache depends on: the model's header, samples of its weights, the cache's own type.

    :param data_offset: where the header of the first of the model's files ends, in bytes.
    """
    digest = hashlib.sha256(f"{kv_type} {engine.version()} ".encode())
    for path in parts:
        size = path.stat().st_size
        with path.open("rb") as stream:
            digest.update(stream.read(data_offset))
            for number in range(_SAMPLES):
                stream.seek(data_offset + max(size - data_offset, 0) * number // _SAMPLES)
                digest.update(stream.read(_SAMPLE_BYTES))
    return digest.hexdigest()


def save(sequence: Sequence | None, path: Path, model: str) -> None:
    """Write the sequence's tokens and state; beside the target first, then renamed.

    Raises:
        UsageError: there is nothing to save yet.
        EngineError: the file cannot be written.
    """
    if sequence is None or not sequence.tokens:
        raise UsageError("There is no prompt to save.", "This session has computed none.", "Generate first.")
    if path.exists() and not path.is_file():
        raise EngineError(f"{path} cannot be written.", "It is no file, and must not be replaced.", "Name another.")
    lib = engine.library()
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    tokens = (ctypes.c_int32 * len(sequence.tokens))(*sequence.tokens)
    engine.forget_errors()
    try:
        written = lib.llama_state_seq_save_file(
            sequence.context.pointer, os.fsencode(beside), sequence.number, tokens, len(tokens)
        )
        if not written:
            raise EngineError(f"{path} cannot be written.", engine.last_error(), "Check the folder and the disk.")
        line = json.dumps({"model": model, "tokens": len(tokens), "sha256": _digest(beside, written)}).encode()
        with beside.open("r+b") as stream:
            stream.truncate(written)
            stream.seek(written)
            stream.write(line + _TAIL.pack(len(line), _MARK))
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(beside, path)
    except OSError as error:
        raise EngineError(f"{path} cannot be written.", str(error), "Check the folder and the disk.") from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def load(vacant: Callable[[int], Sequence], path: Path, model: str, longest: int) -> int:
    """Read a saved state; how many tokens it holds.

    :param vacant: gives the sequence for so many tokens that it becomes.

    Raises:
        ModelFileError: the file is missing, damaged, or no prompt cache.
        UsageError: it was made with another model, engine or cache type.
        ContextOverflow: it holds more tokens than this session's context.
    """
    trailer, length = _read_trailer(path)
    if trailer.get("model") != model:
        raise UsageError(
            f"{path} is not a cache of this model.",
            "Its model, key/value type or engine version is another.",
            "Make it anew.",
        )
    count = trailer.get("tokens")
    if not isinstance(count, int) or _digest(path, length) != trailer.get("sha256"):
        raise _damaged(path, "Its checksum is wrong.")
    if count > longest:
        raise ContextOverflow(
            f"The cached prompt has {count:,} tokens.", f"The context holds {longest:,}.", "Load with a longer context."
        )
    tokens = (ctypes.c_int32 * count)()
    found = ctypes.c_size_t()
    sequence = vacant(count)
    engine.forget_errors()
    read = engine.library().llama_state_seq_load_file(
        sequence.context.pointer, os.fsencode(path), sequence.number, tokens, count, ctypes.byref(found)
    )
    if not read or found.value != count:
        sequence.undo()
        raise _damaged(path, engine.last_error())
    sequence.restored(list(tokens))
    return count


def _read_trailer(path: Path) -> tuple[dict[str, Any], int]:
    """The trailer, and the length of the state before it."""
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(size - _TAIL.size, 0))
            tail = stream.read(_TAIL.size)
            if len(tail) != _TAIL.size:
                raise _damaged(path, "It is too short.")
            length, mark = _TAIL.unpack(tail)
            begin = size - _TAIL.size - length
            if mark != _MARK or length > _LONGEST_LINE or begin < 0:
                raise _damaged(path, "It does not end as a prompt cache does.")
            stream.seek(begin)
            trailer = json.loads(stream.read(length))
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read.", str(error), "Check the path.") from error
    except ValueError as error:
        raise _damaged(path, "Its trailer is not JSON.") from error
    if not isinstance(trailer, dict):
        raise _damaged(path, "Its trailer is not an object.")
    return trailer, begin


def _digest(path: Path, length: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while length > 0 and (data := stream.read(min(length, 1 << 20))):
            digest.update(data)
            length -= len(data)
    return digest.hexdigest()


def _damaged(path: Path, why: str) -> ModelFileError:
    return ModelFileError(f"{path} is not a sound prompt cache.", why, "Make it anew.")
