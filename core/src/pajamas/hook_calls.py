"""Calling hooks so that a plugin that fails is named, whoever else takes part in the call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pluggy

from pajamas.errors import PajamasError, PluginError


def call(caller: pluggy.HookCaller, label: Callable[[str], str], *, own: str = "", **arguments: Any) -> Any:
    """Call a hook.

    Args:
        label: what a registered name is called in messages.
        own: the plugin whose answer is wanted: what it raises is passed on as it is.

    Raises:
        PluginError: another plugin's implementation or wrapper failed; the message names it.
        PajamasError: what an implementation raises on purpose.
    """
    try:
        return caller(**arguments)
    except PajamasError:
        raise
    except (Exception, SystemExit) as error:  # guarded: the fault of whoever took part, and named as his
        guilty = culprit(caller, error)
        if own and guilty in (own, None) and not isinstance(error, SystemExit):
            raise
        name = label(guilty or own) if guilty or own else "A plugin"
        raise PluginError(
            f"{name} failed in {caller.name}.", f"{type(error).__name__}: {error}", "Update it, or uninstall it."
        ) from error


def culprit(caller: pluggy.HookCaller, error: BaseException) -> str | None:
    """The registered name of the plugin in whose implementation or wrapper the error arose, or None."""
    implementations = {
        getattr(implementation.function, "__code__", None): implementation.plugin_name
        for implementation in caller.get_hookimpls()
    }
    found = None
    trace = error.__traceback__
    while trace is not None:  # the deepest: a wrapper stands in the trace of what it wraps
        found = implementations.get(trace.tb_frame.f_code, found)
        trace = trace.tb_next
    if found is None and len(implementations) == 1:
        (found,) = implementations.values()
    return found
