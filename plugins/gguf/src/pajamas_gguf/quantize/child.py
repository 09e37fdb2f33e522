"""The child process around llama.cpp's quantizer: `python -m pajamas_gguf.quantize.child`.

A GGML assertion aborts the whole process, and a running quantization cannot be interrupted: so it runs here, where it
may die. One JSON object comes in on the first line of standard input (the fields of `Task`); JSON objects go out on
standard output, one a line, each with its "event":

- `tensor`: index (from 1), count, name: work on this tensor begins
- `type`: name, type: what it becomes
- `fallback`: name, wanted, used: its width does not allow the wanted type
- `imatrix`: the recipe needs an importance matrix
- `done`: version of llama.cpp; of a dry run also size, the bytes of the file to be
- `memory`: context, total: after a dry run, bytes that a context of so many tokens takes in all
- `unmeasured`: why there are no more of them
- `failed`: lines, the engine's own words; `missing`: what, why, fix of an EngineMissing

The engine's log goes to standard error. When standard input ends, the parent is gone, and so is this process.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import re
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import field, frozen

from pajamas import lifeline
from pajamas.errors import EngineMissing, PajamasError

_START = re.compile(r"\[ *(\d+)/ *(\d+)\] (.+?) +- \[[ \d,]+\], type = +(\w+), ")
_NEW_TYPE = re.compile(r"(?:converting to (\w+) \.\. |MiB \((\w+)\)$)")
_FALLBACK = re.compile(
    r"warning: (.+?) +- ncols +\d+ not divisible by +\d+ \(required for type +(\w+)\) .*-> falling back to +(\w+)"
)
_IMATRIX = "will require an imatrix"
_LEVEL_ERROR, _LEVEL_CONTINUED = 4, 5  # enum ggml_log_level
_NUMBER, _TEXT = 0, 3  # enum llama_model_kv_override_type

# A slab of rows is quantized at a time, so that one huge tensor does not take all memory; the result is the same.
_MAX_BUFFER = 512 << 20
_LONGEST_MEASURE = 120  # seconds


@frozen(kw_only=True)
class Task:
    """What to do. Paths are text, types are numbers of enum ggml_type, None leaves the choice to the scheme."""

    sources: list[str]
    """The GGUF file, or all parts of a split one in order."""
    output: str
    """The quantized file; in a dry run the name of a file for the child's own use."""
    ftype: int
    threads: int
    dry_run: bool = False
    vocabulary: list[Any] | None = None
    """[key of its size, size, keys of its lists]: a dry run leaves it out, because the engine takes half a second to
    read it, and nothing but its size matters here."""
    contexts: list[int] = field(factory=list)
    """Context lengths whose memory a dry run predicts."""
    extra_buffers: bool = True
    """Whether a session would repack the weights for this CPU."""
    patterns: list[list[Any]]
    """[regex, type] pairs; the first that is found in a tensor's name wins."""
    embedding_type: int | None = None
    output_type: int | None = None
    imatrix: str | None = None
    """The file of the importance matrix. A dry run does not open it, but plans as the recipe does with one."""
    keys: list[list[Any]] = field(factory=list)
    """[key, text or number] pairs that are added to the metadata."""
    realign: bool = False
    """The source has another alignment than 32, but the quantizer always writes with 32: correct the metadata."""


class Events:
    """Turns the engine's log into events."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._line = ""
        self._level = 0
        self._tensor: str | None = None
        self._type = ""
        self.types: dict[str, str] = {}
        self.errors: list[str] = []

    def emit(self, event: str, **fields: Any) -> None:
        lifeline.write_all(self._descriptor, (json.dumps({"event": event, **fields}) + "\n").encode())

    def log(self, level: int, text: bytes, _user_data: object = None) -> None:
        """The engine's log callback: a line may come in several pieces."""
        with suppress(OSError):  # the log lies on the output's disk, which may be full
            os.write(2, text)
        if level == _LEVEL_ERROR != self._level:  # breaks into the line of the tensor at which it failed
            self._line, self._tensor = "", None
        if level != _LEVEL_CONTINUED:
            self._level = level
        for piece in text.decode(errors="replace").splitlines(keepends=True):
            self._line += piece
            if self._tensor is None and (match := _START.match(self._line)):
                self._begin(match)
            if piece.endswith("\n"):
                self._end(self._line.rstrip())
                self._line = ""

    def _begin(self, match: re.Match[str]) -> None:
        self._tensor, self._type = match[3], match[4]
        self.emit("tensor", index=int(match[1]), count=int(match[2]), name=self._tensor)

    def _end(self, line: str) -> None:
        if self._tensor is not None:
            match = _NEW_TYPE.search(line)
            name, kind = self._tensor, (match[1] or match[2] if match else self._type).upper()
            self._tensor = None
            self.types[name] = kind
            self.emit("type", name=name, type=kind)
        elif match := _FALLBACK.match(line):
            self.emit("fallback", name=match[1], wanted=match[2].upper(), used=match[3].upper())
        elif _IMATRIX in line:
            self.emit("imatrix")
        elif self._level == _LEVEL_ERROR and line.strip(" ="):
            self.errors.append(line.strip())


def main() -> None:
    events = Events(lifeline.take_channel())
    lifeline.die_with_parent()
    lifeline.leave_no_core_file()
    _bindings_only()
    task = Task(**json.loads(lifeline.first_line()))
    threading.Thread(target=lifeline.watch_parent, daemon=True).start()
    try:
        (_plan if task.dry_run else _write)(task, events)
    except EngineMissing as error:
        events.emit("missing", what=error.what, why=error.why, fix=error.fix)
    except (OSError, ValueError) as error:  # of the planned header
        events.emit("failed", lines=[str(error)])
    # Not through the interpreter's end, which would wait for the thread that reads standard input.
    os._exit(0)


def _write(task: Task, events: Events) -> None:
    if version := _quantize(task, events, task.sources[0], task.output):
        events.emit("done", version=version)


def _plan(task: Task, events: Events) -> None:
    from pajamas_gguf.quantize.plan_file import PlanFile

    file = PlanFile(task.sources, task.keys, realign=task.realign)
    lean = file.without_vocabulary(*task.vocabulary) if task.vocabulary else file
    hollow = Path(task.output)
    lean.write(hollow)
    if version := _quantize(task, events, task.output, f"{hollow}.none"):
        file.quantize(events.types, task.ftype)
        events.emit("done", version=version, size=file.size())
        if task.contexts:
            if lean is not file:
                lean.quantize(events.types, task.ftype)
            lean.write(hollow)
            _measure(hollow, task, events)


def _quantize(task: Task, events: Events, source: str, output: str) -> str | None:
    """Let the engine quantize; its version, or None if it has refused."""
    from pajamas_gguf.engine import library

    engine = library()
    parameters = engine.llama_model_quantize_default_params()
    parameters.nthread = task.threads
    parameters.ftype = task.ftype
    parameters.dry_run = task.dry_run
    parameters.max_buf_size = _MAX_BUFFER
    # Whether to requantize was decided, and noted in the receipt, by the parent.
    parameters.allow_requantize = True
    if task.embedding_type is not None:
        parameters.token_embedding_type = task.embedding_type
    if task.output_type is not None:
        parameters.output_tensor_type = task.output_type
    patterns = (engine.llama_model_tensor_override * (len(task.patterns) + 1))()
    for place, (pattern, kind) in enumerate(task.patterns):
        patterns[place].pattern, patterns[place].type = pattern.encode(), kind
    if task.patterns:
        parameters.tt_overrides = patterns
    kept = None
    if task.imatrix is not None:
        parameters.imatrix, kept = _importance(engine, None if task.dry_run else Path(task.imatrix))
    added = [*task.keys, *([["general.alignment", 32]] if task.realign else [])]
    keys = (engine.llama_model_kv_override * (len(added) + 1))()
    for place, (key, value) in enumerate(added):
        keys[place].key = key.encode()
        if isinstance(value, str):
            keys[place].tag, keys[place].value.val_str = _TEXT, value.encode()
        else:
            keys[place].tag, keys[place].value.val_i64 = _NUMBER, value
    if added:
        parameters.kv_overrides = keys
    before, data, callback = engine.llama_log_callback(), ctypes.c_void_p(), engine.llama_log_callback(events.log)
    engine.llama_log_get(ctypes.byref(before), ctypes.byref(data))
    engine.llama_log_set(callback, None)
    failed = engine.llama_model_quantize(os.fsencode(source), os.fsencode(output), ctypes.byref(parameters))
    engine.llama_log_set(before, data)
    del kept
    if failed:
        events.emit("failed", lines=events.errors[-5:])
        return None
    return (engine.llama_version() or b"").decode()


def _importance(engine: Any, path: Path | None) -> tuple[Any, Any]:
    """The array for the engine, ended by an entry without a name, and what must live as long; None: nothing in it."""
    means = {}
    if path is not None:
        from pajamas_gguf.imatrix.matrix import read_matrix

        means = {name.encode(): entry.means().ravel() for name, entry in read_matrix(path).entries.items()}
    found = (engine.llama_model_imatrix_data * (len(means) + 1))()
    number = ctypes.POINTER(ctypes.c_float)
    for place, (name, values) in enumerate(means.items()):
        found[place].name, found[place].data, found[place].size = name, values.ctypes.data_as(number), values.size
    return found, means


def _measure(path: Path, task: Task, events: Events) -> None:
    from pajamas_gguf.memory import measure

    # A hostile header may keep the engine busy for ever.
    watch = threading.Timer(_LONGEST_MEASURE, _give_up, [events])
    watch.daemon = True
    watch.start()
    try:
        for context, total in measure(path, task.contexts, extra_buffers=task.extra_buffers).items():
            events.emit("memory", context=context, total=total)
    except PajamasError as error:
        events.emit("unmeasured", why=f"{error.what} {error.why}")


def _give_up(events: Events) -> None:
    events.emit("unmeasured", why=f"llama.cpp did not answer within {_LONGEST_MEASURE} seconds.")
    os._exit(0)


def _bindings_only() -> None:
    """Keep llama_cpp's own __init__ from running: it imports numpy and jinja2, which takes longer than a dry run."""
    if spec := importlib.util.find_spec("llama_cpp"):
        sys.modules["llama_cpp"] = importlib.util.module_from_spec(spec)


if __name__ == "__main__":
    main()
