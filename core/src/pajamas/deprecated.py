"""How a hook, or an argument of one, is retired: warnings at registration, for at least two minor versions.

    @hookspec(warn_on_impl_args={"old": argument("load", "old", since="1.3", instead="options.new")})
    def load(artifact, options, old): ...

    @hookspec(warn_on_impl=hook("load_all", since="1.3", instead="load"))
    def load_all(artifact): ...

The warning comes when a plugin is registered that names the argument or implements the hook. Whoever only uses such a
plugin sees nothing: it is a DeprecationWarning, which Python shows to developers and pytest to a plugin's tests.
"""

from __future__ import annotations


class PajamasDeprecationWarning(DeprecationWarning):
    """Something of the contract that plugins use is going away."""


class PajamasRemovedIn2Warning(PajamasDeprecationWarning):
    """It is an error in pajamas 2.0, and gone in 2.1."""


def hook(name: str, *, since: str, instead: str) -> PajamasRemovedIn2Warning:
    """The warning for a hook that is retired since the version `since`; `instead` names what to implement."""
    return _warning(f"The hook {name!r}", since, f"implement {instead}")


def argument(hook: str, name: str, *, since: str, instead: str) -> PajamasRemovedIn2Warning:
    """The warning for one argument of a hook; `instead` names what to use."""
    return _warning(f"The argument {name!r} of the hook {hook!r}", since, f"use {instead}")


def _warning(what: str, since: str, instead: str) -> PajamasRemovedIn2Warning:
    return PajamasRemovedIn2Warning(
        f"{what} is deprecated since pajamas {since}, and an error in pajamas 2.0: {instead}."
    )
