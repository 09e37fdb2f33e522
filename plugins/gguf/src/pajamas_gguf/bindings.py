"""llama-cpp-python's low-level modules, without what its package imports beside them."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

PACKAGE = "llama_cpp"


def load_bindings(name: str, and_then: Callable[[], None]) -> Any:
    """The module `llama_cpp.NAME`.

    The package's __init__ imports a high-level interface with chat formats and a cache in a database: a tenth of a
    second, and nothing here uses it. So it runs when somebody asks the package itself for a name.

    Args:
        and_then: called when it has run, for it sets the engine's log to its own.

    Raises:
        ImportError: there is no such module. What importing a library raises besides.
    """
    if PACKAGE not in sys.modules and (spec := importlib.util.find_spec(PACKAGE)):
        sys.modules[PACKAGE] = _deferred(spec, and_then)
    return importlib.import_module(f"{PACKAGE}.{name}")


def _deferred(spec: ModuleSpec, and_then: Callable[[], None]) -> ModuleType:
    package = importlib.util.module_from_spec(spec)

    def run(name: str) -> Any:
        # Whoever goes through all modules, as warnings and inspect do, asks for such names only.
        if spec.loader is None or (name.startswith("__") and name != "__version__"):
            raise AttributeError(f"module {PACKAGE!r} has no attribute {name!r}")
        del package.__dict__["__getattr__"]
        spec.loader.exec_module(package)
        and_then()
        return getattr(package, name)

    package.__dict__["__getattr__"] = run
    return package
