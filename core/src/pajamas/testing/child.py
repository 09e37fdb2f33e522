"""The child's side of `pajamas.testing.children`: each public function answers one question, in JSON."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

Answer = dict[str, Any]

SAME = ("name", "engine", "formats", "schemes", "scheme_aliases")
"""Fields of a description that do not depend on whether the engine was tried."""


def import_module(module: str) -> Iterator[Answer]:
    """Which modules importing `module` brings along."""
    import pajamas.plugins
    import pajamas.types  # noqa: F401  # with pajamas.plugins: what is loaded whenever a plugin is

    before = set(sys.modules)
    try:
        importlib.import_module(module)
    except Exception as error:  # the plugin's fault, told by test_registers
        yield {"failed": _words(error)}
        return
    yield {"modules": sorted(set(sys.modules) - before)}


def describe(entry: str, thorough: bool = False) -> Iterator[Answer]:
    """What `describe` of an entry point's plugin returns, in how many seconds, and which modules it loads."""
    import pajamas.plugins  # noqa: F401  # what is loaded whenever a plugin is
    from pajamas.testing.hook_functions import call

    plugin = importlib.metadata.EntryPoint("plugin", entry, "pajamas.backends").load()
    before = set(sys.modules)
    began = time.perf_counter()
    try:
        info = call(plugin, "describe", thorough=thorough)
    except Exception as error:  # the plugin's fault, told by the parent
        yield {"failed": _words(error)}
        return
    seconds = time.perf_counter() - began
    yield {
        "seconds": seconds,
        "modules": sorted(set(sys.modules) - before),
        "type": type(info).__name__,
        "record": {name: str(getattr(info, name, None)) for name in SAME},
    }


def describe_without(backend: str, modules: list[str]) -> Iterator[Answer]:
    """`describe` where `modules` are not installed."""
    from pajamas.plugins import PluginHost

    hide(modules)
    try:
        info = PluginHost().backend(backend).describe()
    except Exception as error:  # the plugin's fault, told by the parent
        yield {"failed": _words(error)}
        return
    yield {"unavailable": info.unavailable, "fix": info.fix}


def load_without(backend: str, modules: list[str], **request: Any) -> Iterator[Answer]:
    """As `load_each`, where `modules` are not installed."""
    hide(modules)
    yield from load_each(backend, **request)


def load_each(backend: str, paths: list[str], format: str, options: object) -> Iterator[Answer]:
    """What `load` makes of each path: no error, or its class, whether it is pajamas' own, and its words."""
    from pajamas.errors import PajamasError
    from pajamas.plugins import PluginHost
    from pajamas.types import Artifact, LoadOptions
    from pajamas.worker.protocol import from_json

    loader = PluginHost().backend(backend)
    load_options = from_json(options, LoadOptions)
    for path in paths:
        try:
            session = loader.load(Artifact(path=Path(path), format=format), load_options)
        except PajamasError as error:
            yield {"error": type(error).__name__, "own": True, "words": _words(error), "what": error.what}
        except BaseException as error:  # anything else that escapes is what the parent looks for
            yield {"error": type(error).__name__, "own": False, "words": _words(error)}
        else:
            session.close()
            yield {"error": None}


def detect_each(backend: str, paths: list[str], behind: int) -> Iterator[Answer]:
    """What `detect_architecture` makes of each path, with as many bytes behind it, and how many it asks for."""
    from pajamas.plugins import PluginHost
    from pajamas.testing.far_files import FarFiles

    detector = PluginHost().backend(backend)
    for path in paths:
        files = FarFiles(Path(path), behind)
        try:
            found = detector.detect_architecture(files)
        except BaseException as error:  # whatever it is, it must not escape
            yield {"failed": _words(error), "served": files.served}
        else:
            answer = None if found is None else repr(found)[:200]
            yield {"answer": answer, "type": type(found).__name__, "served": files.served}


def hide(modules: Iterable[str]) -> None:
    """Make `modules` and the distributions that they came in as if they were not installed, in this process; nor is
    there an environment of an engine's own.
    """
    os.environ["PAJAMAS_ENVIRONMENTS"] = os.devnull
    for name in [name for name in os.environ if name.startswith("PAJAMAS_") and name.endswith("_PYTHON")]:
        del os.environ[name]
    hidden = frozenset(modules)
    packages = importlib.metadata.packages_distributions()
    distributions = frozenset(name for module in hidden for name in packages.get(module, ()))
    for name in [name for name in sys.modules if name.partition(".")[0] in hidden]:
        del sys.modules[name]
    sys.meta_path[:] = [_Without(finder, hidden, distributions) for finder in sys.meta_path]


class _Without:
    """A finder that does not find some modules and distributions."""

    def __init__(self, finder: Any, modules: frozenset[str], distributions: frozenset[str]) -> None:
        self._finder = finder
        self._modules = modules
        self._distributions = distributions

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        return None if name.partition(".")[0] in self._modules else self._finder.find_spec(name, path, target)

    def find_distributions(self, context: Any) -> list[importlib.metadata.Distribution]:
        find = getattr(self._finder, "find_distributions", None)
        found = list(find(context)) if find else []
        return [distribution for distribution in found if distribution.metadata["Name"] not in self._distributions]

    def invalidate_caches(self) -> None:
        getattr(self._finder, "invalidate_caches", lambda: None)()


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _main() -> None:
    question, place = sys.argv[1:]
    questions: dict[str, Callable[..., Iterator[Answer]]] = {
        function.__name__: function
        for function in (import_module, describe, describe_without, load_without, load_each, detect_each)
    }
    answers = questions[question](**json.load(sys.stdin))
    with open(place, "a", encoding="utf-8") as stream:
        for answer in answers:
            stream.write(json.dumps(answer) + "\n")
            stream.flush()


if __name__ == "__main__":
    _main()
