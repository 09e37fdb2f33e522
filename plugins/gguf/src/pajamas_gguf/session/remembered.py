"""What is known of a file from an earlier load, so that its vocabulary need not be read again before the engine does.

Reading 150 thousand texts takes longer than all else that this backend does before the first token.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path

from pajamas.gguf_header import split_names
from pajamas_gguf.probe import build_key, cache_folder
from pajamas_gguf.session.facts import Facts

_SCHEMA = 1
_LONGEST_LIST = 64


def recall(path: Path) -> Facts | None:
    """The facts of a file that has been loaded before by this build of the engine and has not changed since."""
    try:
        found = json.loads(_place(path).read_text(encoding="utf-8"))
        return Facts(
            parts=_parts(path),
            metadata=found["metadata"],
            data_offset=found["data_offset"],
            positions=found["positions"],
            special_tokens=found["special_tokens"],
            end_tokens=frozenset(found["end_tokens"]),
        )
    except (OSError, ValueError, KeyError, TypeError):  # not there, or not whole: the file itself says it again
        return None


def remember(facts: Facts, end_tokens: frozenset[int]) -> None:
    """Keep the facts of a file that has been loaded, without its long lists."""
    known = {
        "metadata": {
            key: value
            for key, value in facts.metadata.items()
            if not isinstance(value, list | tuple) or len(value) <= _LONGEST_LIST
        },
        "data_offset": facts.data_offset,
        "positions": facts.positions,
        "special_tokens": dict(facts.special_tokens),
        "end_tokens": sorted(end_tokens),
    }
    try:
        text = json.dumps(known)
    except (TypeError, ValueError):  # a value that JSON does not know
        return
    with contextlib.suppress(OSError):  # a cache that cannot be written costs the next load some time
        place = _place(facts.parts[0])
        place.parent.mkdir(parents=True, exist_ok=True)
        beside = place.with_name(f".{place.name}.{os.getpid()}.part")
        beside.write_text(text, encoding="utf-8")
        beside.replace(place)


def _parts(path: Path) -> tuple[Path, ...]:
    return tuple(path.with_name(name) for name in split_names(path.name))


def _place(path: Path) -> Path:
    """Named by the file's place, size and time of change (of all parts), and by the engine's build."""
    states = [(part.name, status.st_size, status.st_mtime_ns) for part in _parts(path) for status in (part.stat(),)]
    known = [_SCHEMA, build_key(), str(path.parent.resolve()), states]
    return cache_folder() / "facts" / f"{hashlib.sha256(json.dumps(known).encode()).hexdigest()[:32]}.json"
