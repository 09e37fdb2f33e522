"""Tries the engine once for each build of it, in a child process, and remembers the result.

A native build can crash on the very machine that it was built for (a miscompiled AMX setup, a library for another CPU).
The child makes a small quantized model whose matrices are wide enough for every special path of the CPU, and computes a
batch and a single token with it: with the extra buffer types (AMX, repacked weights), and if that fails, without.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import tempfile
from pathlib import Path

from attrs import asdict, frozen

from pajamas_gguf import child, engine

_TIMEOUT = 60.0
_SCHEMA = 1


@frozen
class Probe:
    """What this build of the engine can do on this machine."""

    extra_buffers: bool
    """Whether it works with weights repacked for this CPU."""
    devices: tuple[str, ...] = ()
    """Device words, best first."""
    unavailable: str | None = None
    notes: tuple[str, ...] = ()


def probe() -> Probe:
    """The remembered result for this build, or a new one (a second or two)."""
    known = probed()
    if known is not None:
        return known
    found, certain = _try_both()
    place = _place()
    if place is not None and certain:
        _remember(place, found)
    return found


def probed() -> Probe | None:
    """The remembered result for this build; None if it was not tried yet. Loads no engine."""
    place = _place()
    try:
        record = json.loads(place.read_text("utf-8")) if place else None
        return Probe(
            extra_buffers=bool(record["extra_buffers"]),
            devices=tuple(record["devices"]),
            unavailable=record["unavailable"],
            notes=tuple(record["notes"]),
        ) if record else None  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError):
        return None


def built_for() -> tuple[str, ...]:
    """Device words that this build has libraries for, whether or not such a device is here."""
    names = {path.name.removeprefix("lib").partition(".")[0] for path in _libraries()}
    return (*(word for word in ("cuda", "metal") if f"ggml-{word}" in names), "cpu")


def cache_folder() -> Path:
    import platformdirs

    return platformdirs.user_cache_path("pajamas") / "gguf"


def build_key() -> str | None:
    """A digest that changes with the engine's libraries, this machine's CPU and the visible GPUs; None without them."""
    libraries = _libraries()
    if not libraries:
        return None
    facts = [str(_SCHEMA), engine.version(), platform.machine(), _cpu_flags()]
    facts += [f"{path}:{path.stat().st_size}:{path.stat().st_mtime_ns}" for path in libraries]
    facts += [os.environ.get(name) for name in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def _try_both() -> tuple[Probe, bool]:
    """The result, and whether to remember it: a child that was only too slow may be quicker next time."""
    with_extra = child.run(__name__, {"extra_buffers": True}, _TIMEOUT)
    if not isinstance(with_extra, child.Crash) and "failed" not in with_extra:
        return Probe(extra_buffers=True, devices=tuple(with_extra["devices"])), True
    without = child.run(__name__, {"extra_buffers": False}, _TIMEOUT)
    why = _reason(with_extra)
    certain = not any(isinstance(result, child.Crash) and result.slow for result in (with_extra, without))
    if not isinstance(without, child.Crash) and "failed" not in without:
        note = (
            f"llama.cpp fails on this CPU with its fast matrix paths (AMX, repacked weights): {why}. They are off,"
            " which costs speed; a build with CXXFLAGS='-fno-tree-dse -fno-dse' (or by clang) has been seen to cure it"
        )
        return Probe(extra_buffers=False, devices=tuple(without["devices"]), notes=(note,)), certain
    unavailable = f"this build of llama.cpp does not work on this machine: {why}"
    return Probe(extra_buffers=False, unavailable=unavailable), certain


def _reason(result: dict[str, object] | child.Crash) -> str:
    if isinstance(result, child.Crash):
        return result.told
    return str(result["failed"]).rstrip(".")


def _libraries() -> list[Path]:
    override = os.environ.get("LLAMA_CPP_LIB_PATH")
    if override:
        folder = Path(override)
    else:
        spec = importlib.util.find_spec("llama_cpp")
        if spec is None or not spec.submodule_search_locations:
            return []
        folder = Path(next(iter(spec.submodule_search_locations))) / "lib"
    suffixes = (".so", ".dylib", ".dll")
    return sorted(path for path in folder.glob("*") if path.suffix in suffixes) if folder.is_dir() else []


def _cpu_flags() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


def _place() -> Path | None:
    key = build_key()
    return cache_folder() / f"probe-{key}.json" if key else None


def _remember(place: Path, found: Probe) -> None:
    """Written beside and renamed. A cache that cannot be written costs the next run a probe, no more."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=place.parent, delete=False, encoding="utf-8") as stream:
            json.dump(asdict(found), stream)
        os.replace(stream.name, place)
    except OSError:
        return


def _main() -> None:
    from pajamas_gguf.probe_model import compute

    child.answer(compute(extra_buffers=child.read_request()["extra_buffers"]))


if __name__ == "__main__":
    _main()
