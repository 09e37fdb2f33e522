"""What a GGUF file says, in a form that can be compared and kept."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import gguf

from pajamas.gguf_header import read_header
from pajamas.modelfiles import LocalFiles

Facts = dict[str, dict[str, Any]]


def gguf_facts(path: Path, *, tokenizer: bool = True) -> Facts:
    """Keys in order with values and types; tensors in order with type, shape and digest. `tokenizer.*` if asked for."""
    header = read_header(LocalFiles(path), path.name)
    tensors = {}
    with path.open("rb") as stream:
        for tensor in header.tensors:
            stream.seek(tensor.offset)
            digest = hashlib.sha256(stream.read(tensor.size)).hexdigest()[:16]
            tensors[tensor.name] = [tensor.type, list(tensor.shape), digest]
    # An engine accepts a key only with the right type; gguf's own reader tells it.
    fields = gguf.GGUFReader(path).fields
    metadata = {
        key: [*(kind.name for kind in fields[key].types), list(value) if isinstance(value, tuple) else value]
        for key, value in header.metadata.items()
        if tokenizer or not key.startswith("tokenizer.")
    }
    return {"metadata": metadata, "tensors": tensors}


def differences(ours: Facts, theirs: Facts) -> list[str]:
    """What is not equal, order included; one line each."""
    found = []
    for part in ("metadata", "tensors"):
        mine, other = ours[part], theirs[part]
        for key in sorted(mine.keys() | other.keys()):
            if mine.get(key) != other.get(key):
                found.append(f"{part} {key}: {str(mine.get(key))[:120]} instead of {str(other.get(key))[:120]}")
        if not found and list(mine) != list(other):
            found.append(f"{part} in another order: {list(mine)} instead of {list(other)}"[:2000])
    return found
