"""What `doctor` says where no backend can be used."""

from __future__ import annotations

import pytest

from pajamas.operations.doctor import diagnose
from pajamas.plugins import PluginHost
from plugin_dists import write_dist


@pytest.fixture
def installed():
    """The backends that are installed beside the fake ones."""
    return frozenset(PluginHost().backend_names())


def about_backends(host):
    (found,) = [item for item in diagnose(host=host) if item.subject == "backends"]
    return found


def test_a_disabled_backend_is_not_missing(installed):
    found = about_backends(PluginHost(disabled=installed))

    assert "echo: disabled by PAJAMAS_DISABLE_PLUGINS" in found.finding
    assert found.fix == "Unset PAJAMAS_DISABLE_PLUGINS."
    assert found.state == "problem"


def test_a_broken_backend_is_not_missing(installed, dists):
    write_dist(dists, "pajamas-clay", "1 / 0", entry="clay")

    found = about_backends(PluginHost(disabled=installed))

    assert "clay: could not be imported: ZeroDivisionError" in found.finding
    assert "pip install" not in found.fix


def test_two_distributions_of_one_name_are_both_named(installed, dists):
    for name in ("pajamas-clay", "pajamas-mud"):
        write_dist(dists, name, "", entry="clay")

    found = about_backends(PluginHost(disabled=installed))

    assert found.finding.count("pajamas-clay 1.0 and pajamas-mud 1.0") == 1
