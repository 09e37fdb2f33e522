"""A plugin's hook implementations, looked at without core in between."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from pajamas.hookspecs import PROJECT


def implementations(plugin: object) -> dict[str, tuple[Callable[..., Any], dict[str, Any]]]:
    """The hook implementations in a plugin's module, as pluggy finds them: hook to (function, hookimpl's options)."""
    found = {}
    for name in dir(plugin):
        function = getattr(plugin, name)
        options = getattr(function, f"{PROJECT}_impl", None) if inspect.isroutine(function) else None
        if isinstance(options, dict):
            found[options.get("specname") or name] = (function, options)
    return found


def describe(plugin: object) -> Any:
    """What the plugin's own `describe` returns, whatever it is.

    Raises:
        LookupError: it has none.
        Exception: what it raises.
    """
    found = implementations(plugin)
    if "describe" not in found:
        raise LookupError("there is no hook `describe`")
    function = found["describe"][0]
    return function(thorough=False) if "thorough" in inspect.signature(function).parameters else function()
