"""Run by tests in a process of its own, because huggingface_hub reads its environment when it is imported.

Each line of standard input is a JSON list of steps; each line of output the list of their answers or errors.
"""

from __future__ import annotations

import json
import sys

from attrs import asdict, evolve

from pajamas import hub
from pajamas.errors import PajamasError
from pajamas.source import parse_source


class Recorder:
    """A Progress that adds up."""

    def __init__(self):
        self.stages = []

    def stage(self, title, total, unit):
        self.stages.append({"title": title, "total": total, "unit": unit, "done": 0, "steps": 0})
        return self

    def advance(self, amount, note=""):
        self.stages[-1]["done"] += amount
        self.stages[-1]["steps"] += 1

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


def download(text, commit=None):
    recorder = Recorder()
    try:
        source, path = hub.download(evolve(parse_source(text), commit=commit), progress=recorder)
    except PajamasError as error:
        return failed(error) | {"progress": recorder.stages}
    names = {p.relative_to(path).as_posix(): p.stat().st_size for p in path.rglob("*")} if path.is_dir() else {}
    return {
        "path": str(path),
        "files": names,
        "commit": source.commit,
        "filename": source.filename,
        "progress": recorder.stages,
    }


def look(text, *reads):
    source, files = hub.open_files(parse_source(text))
    content = [files.read(*read).hex() for read in reads]
    state = hub.cache_state(files)
    return {
        "commit": source.commit,
        "filename": source.filename,
        "origin": files.origin,
        "sizes": dict(files.sizes()),
        "content": content,
        "local": {name: str(path) for name in files.sizes() if (path := files.local_path(name))},
        "state": {"path": state.path and str(state.path), "cached": state.cached, "total": state.total},
    }


def cached():
    return {
        "models": [
            asdict(m, value_serializer=lambda _, f, v: str(v) if f and f.name == "path" else v)
            for m in hub.cached_models()
        ]
    }


def failed(error):
    return {"error": type(error).__name__, "what": error.what, "why": error.why, "fix": error.fix}


def answer(command, *arguments):
    try:
        return {"download": download, "look": look, "cached": cached}[command](*arguments)
    except PajamasError as error:
        return failed(error)


for line in sys.stdin:
    sys.stdout.write(json.dumps([answer(*step) for step in json.loads(line)]) + "\n")
    sys.stdout.flush()
