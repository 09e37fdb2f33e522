"""Files that are nobody's, damaged or hostile: what a person, a broken download or an attacker may name as a model."""

from __future__ import annotations

import json
import os
import pickle
import random
import struct
from pathlib import Path

KEPT = 64 << 20
"""Bytes of an artifact that are copied at most: what is damaged need not be whole."""


class _Trap:
    """Unpickling it leaves a mark, as an attacker's pickle would leave worse."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return (os.makedirs, (str(self._mark), 0o777, True))


def write_foreign(root: Path) -> dict[str, Path]:
    """Write files and folders that are no backend's; what they are called in messages, to their paths.

    If `root / "unpickled"` appears, somebody has loaded a pickle.
    """
    found: dict[str, Path] = {}

    def file(what: str, name: str, data: bytes) -> None:
        path = root / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        found[what] = path

    def folder(what: str, name: str, **files: bytes) -> None:
        path = root / "folders" / name
        path.mkdir(parents=True)
        for file_name, data in files.items():
            (path / file_name.replace("__", ".")).write_bytes(data)
        found[what] = path

    trap = pickle.dumps(_Trap(root / "unpickled"))
    noise = random.Random(0).randbytes(4096)
    file("an empty file", "empty.bin", b"")
    file("a file of random bytes", "noise.bin", noise)
    file("a text", "README.md", b"# Not a model\n")
    file("a pickle", "pytorch_model.bin", trap)
    for what, header in hostile_gguf_headers().items():
        file(f"a GGUF file {what}", f"{what.replace(' ', '-')}.gguf", header)
    folder("an empty folder", "empty")
    folder("a folder whose config.json is empty", "no-config", config__json=b"")
    folder("a folder whose config.json is not JSON", "no-json", config__json=b"{'model_type': ")
    folder("a folder whose config.json is not text", "no-text", config__json=noise)
    folder("a folder whose config.json is a list", "list", config__json=b"[1, 2, 3]")
    folder("a folder whose config.json is a number", "number", config__json=b"1e999")
    folder("a folder whose config.json is nested too deeply", "deep", config__json=b"[" * 100_000)
    wrong = json.dumps({"model_type": ["qwen3"], "hidden_size": -1, "architectures": {"a": None}}).encode()
    folder("a folder whose config.json has values of wrong types", "wrong", config__json=wrong)
    folder("a folder of a model that nobody knows", "unknown", config__json=b'{"model_type": "no-such-model"}')
    folder("a folder with a pickle for weights", "pickle", config__json=b"{}", pytorch_model__bin=trap)
    hostile = struct.pack("<Q", 2**63 - 1) + b"{}"
    folder("a folder with a hostile safetensors header", "st", config__json=b"{}", model__safetensors=hostile)
    folder("a folder with a strange name", "-o name\twith 'ünsafe' $(parts) %s {0} \U0001f4a5", data__bin=noise)
    long = "x" * 200
    folder("a folder with a very long name", long, data__bin=noise)
    return found


def hostile_gguf_headers() -> dict[str, bytes]:
    """GGUF headers that promise more than there is. What each does, to its bytes."""

    def header(tensors: int, keys: int, rest: bytes = b"", version: int = 3) -> bytes:
        return b"GGUF" + struct.pack("<IQQ", version, tensors, keys) + rest

    key = struct.pack("<Q", 20) + b"general.architecture"
    nested = b"".join(struct.pack("<IQ", 9, 1) for _ in range(1000))
    return {
        "that ends in its magic": b"GGU",
        "that ends in its header": header(1, 1)[:12],
        "of a version to come": header(0, 0, version=2**31),
        "with 2^63 tensors": header(2**63, 0),
        "with 2^63 keys": header(0, 2**63),
        "with a key of 2^62 bytes": header(0, 1, struct.pack("<Q", 2**62) + b"general"),
        "with a string of 2^62 bytes": header(0, 1, key + struct.pack("<IQ", 8, 2**62) + b"llama"),
        "with an array of 2^61 strings": header(0, 1, key + struct.pack("<IIQ", 9, 8, 2**61)),
        "with arrays in arrays": header(0, 1, key + struct.pack("<I", 9) + nested),
        "with a value of no type": header(0, 1, key + struct.pack("<I", 99)),
    }


def write_damaged(root: Path, artifact: Path) -> dict[str, Path]:
    """Write damaged copies of an artifact, none of which can be loaded; what they are, to their paths.

    If `root / "unpickled"` appears, somebody has loaded a pickle.
    """
    return _damaged_folders(root, artifact) if artifact.is_dir() else _damaged_files(root, artifact)


def write_scratched(root: Path, artifact: Path) -> dict[str, Path]:
    """Write copies of an artifact in which a few bytes are overwritten; some of them may be loaded all the same.

    None of an artifact whose largest file is over 64 MiB.
    """
    import shutil

    largest = _largest(artifact)
    size = largest.stat().st_size
    found: dict[str, Path] = {}
    # A set: in a small file several of them are one place.
    for place in sorted({int(size * part) for part in (0.0003, 0.003, 0.03, 0.3, 0.97)}) if size <= KEPT else ():
        what = f"an artifact whose bytes from {place} on are overwritten"
        found[what] = root / f"overwritten-{place}{artifact.suffix}"
        root.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if artifact.is_dir() else shutil.copyfile)(artifact, found[what])
        with (found[what] / largest.relative_to(artifact)).open("r+b") as stream:
            stream.seek(place)
            stream.write(random.Random(place).randbytes(16))
    return found


def _largest(artifact: Path) -> Path:
    files = [path for path in artifact.rglob("*") if path.is_file()] if artifact.is_dir() else [artifact]
    return max(files, key=lambda path: path.stat().st_size)


def _damaged_files(root: Path, artifact: Path) -> dict[str, Path]:
    root.mkdir(parents=True, exist_ok=True)
    with artifact.open("rb") as stream:
        half = stream.read(min(artifact.stat().st_size // 2, KEPT))
    contents = {
        "an artifact that is empty": b"",
        "an artifact that ends after 7 bytes": half[:7],
        "an artifact that ends halfway": half,
        "an artifact that is a pickle": pickle.dumps(_Trap(root / "unpickled")),
        "an artifact that begins with random bytes": random.Random(1).randbytes(4096) + half[4096:],
    }
    found = {"an artifact that is not there": root / f"missing{artifact.suffix}"}
    for what, data in contents.items():
        found[what] = root / f"{what.replace(' ', '-')}{artifact.suffix}"
        found[what].write_bytes(data)
    found["a folder where a file should be"] = root / f"folder{artifact.suffix}"
    found["a folder where a file should be"].mkdir()
    return found


def _damaged_folders(root: Path, artifact: Path) -> dict[str, Path]:
    import shutil

    largest = _largest(artifact)
    name = largest.relative_to(artifact)
    found = {"an artifact that is not there": root / "missing", "a file where a folder should be": root / "file"}
    root.mkdir(parents=True, exist_ok=True)
    found["a file where a folder should be"].write_bytes(b"not a folder")

    def copy(what: str) -> Path:
        found[what] = root / what.replace(" ", "-")
        shutil.copytree(artifact, found[what])
        return found[what]

    with copy("an artifact whose weights end halfway").joinpath(name).open("r+b") as stream:
        stream.truncate(largest.stat().st_size // 2)
    copy("an artifact whose weights are empty").joinpath(name).write_bytes(b"")
    copy("an artifact whose weights are random bytes").joinpath(name).write_bytes(random.Random(1).randbytes(4096))
    trap = pickle.dumps(_Trap(root / "unpickled"))
    copy("an artifact whose weights are a pickle").joinpath(name).write_bytes(trap)
    copy("an artifact without its weights").joinpath(name).unlink()
    if (artifact / "config.json").is_file():
        copy("an artifact whose config.json is not JSON").joinpath("config.json").write_bytes(b"{")
        copy("an artifact whose config.json is a list").joinpath("config.json").write_bytes(b"[]")
        copy("an artifact without its config.json").joinpath("config.json").unlink()
    found["an artifact that is an empty folder"] = root / "empty"
    found["an artifact that is an empty folder"].mkdir()
    return found
