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


def call(plugin: object, hook: str, **arguments: Any) -> Any:
    """What the plugin's own implementation of a hook returns, given those of the arguments that it names.

    Raises:
        LookupError: it has none.
        Exception: what it raises.
    """
    found = implementations(plugin)
    if hook not in found:
        raise LookupError(f"there is no hook `{hook}`")
    function = found[hook][0]
    named = inspect.signature(function).parameters
    return function(**{name: value for name, value in arguments.items() if name in named})
