"""What a plugin's author sees of a hook or an argument that is retired, with pluggy as core uses it."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import pluggy
import pytest

from pajamas.deprecated import PajamasRemovedIn2Warning, argument, hook
from pajamas.hookspecs import PROJECT, hookimpl, hookspec


class Specs:
    @hookspec(firstresult=True, warn_on_impl_args={"old": argument("pick", "old", since="1.3", instead="new.old")})
    def pick(self, new, old):
        """A hook that had one argument more."""

    @hookspec(warn_on_impl=hook("pick_all", since="1.3", instead="pick"))
    def pick_all(self, new):
        """A hook that is going away."""


@pytest.fixture
def manager():
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Specs)
    return manager


@hookimpl
def pick(new, old):
    return (new, old)


@hookimpl
def pick_all(new):
    return new


def test_a_plugin_that_names_a_retired_argument_still_works_and_is_told(manager):
    with pytest.warns(PajamasRemovedIn2Warning, match=r"argument 'old' of the hook 'pick' .* 1\.3.*: use new\.old"):
        manager.register(SimpleNamespace(pick=pick))

    assert manager.hook.pick(new=1, old=2) == (1, 2)


def test_a_plugin_that_implements_a_retired_hook_still_works_and_is_told(manager):
    with pytest.warns(PajamasRemovedIn2Warning, match=r"hook 'pick_all' .* error in pajamas 2\.0: implement pick"):
        manager.register(SimpleNamespace(pick_all=pick_all))

    assert manager.hook.pick_all(new=1) == [1]


def test_a_plugin_that_has_moved_on_hears_nothing(manager):
    @hookimpl(specname="pick")
    def moved(new):
        return new

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        manager.register(SimpleNamespace(pick=moved))

    assert manager.hook.pick(new=1, old=2) == 1
