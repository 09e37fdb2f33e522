"""Discovery: plugins are found by metadata, imported one by one, and a broken one harms nobody else."""

from __future__ import annotations

import logging
import sys

import pytest

from pajamas import core
from pajamas.errors import PluginConflict, PluginLoadError, UsageError
from pajamas.plugins import PluginHost
from plugin_dists import backend_source, write_dist


def problem_of(host, name):
    [entry] = [entry for entry in host.entries("pajamas.backends") if entry.name == name]
    return host.examine([entry])[entry].problem


def test_a_backend_is_imported_only_when_it_is_chosen(dists):
    write_dist(dists, "pajamas-paper", backend_source("paper"), entry="paper")

    host = PluginHost()

    assert "paper" in host.backend_names()
    assert "pajamas_paper" not in sys.modules
    assert host.backend("paper").describe().name == "paper"
    assert "pajamas_paper" in sys.modules


def test_only_the_chosen_backend_answers(dists):
    for name in ("paper", "stone"):
        write_dist(dists, f"pajamas-{name}", backend_source(name), entry=name)
    host = PluginHost()
    paper, stone = host.backend("paper"), host.backend("stone")

    assert (paper.describe().name, stone.describe().name) == ("paper", "stone")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("raise SystemError('broken build')", "SystemError: broken build"),
        ("def (:", "SyntaxError"),
        (
            "from pajamas.hookspecs import hookimpl\n@hookimpl\ndef quantise(job):\n    return None",
            "unknown hook 'quantise'",
        ),
        (
            "from pajamas.hookspecs import hookimpl\n@hookimpl\ndef quantize(work):\n    return None",
            "Argument(s) {'work'}",
        ),
    ],
)
def test_a_broken_backend_is_named_with_its_distribution_and_the_reason(dists, source, reason):
    write_dist(dists, "pajamas-broken", source, entry="broken", version="0.3")
    host = PluginHost()

    with pytest.raises(PluginLoadError) as caught:
        host.backend("broken")

    assert "pajamas-broken 0.3: pajamas_broken" in caught.value.what
    assert reason in caught.value.why
    assert reason in problem_of(host, "broken")


def test_a_broken_backend_is_warned_of_once_and_the_others_work(dists, caplog):
    write_dist(dists, "pajamas-broken", "import nothing_of_that_name", entry="broken")
    write_dist(dists, "pajamas-paper", backend_source("paper"), entry="paper")
    host = PluginHost()

    with caplog.at_level(logging.WARNING):
        first = [backend.name for backend in host.working_backends()]
        second = [backend.name for backend in host.working_backends()]

    assert "paper" in first and "broken" not in first
    assert first == second
    assert len([record for record in caplog.records if "pajamas-broken" in record.getMessage()]) == 1


def test_an_incompatible_core_range_is_found_before_the_import(dists):
    write_dist(dists, "pajamas-late", "raise AssertionError('imported')", entry="late", requires="pajamas>=99")
    host = PluginHost()

    with pytest.raises(PluginLoadError) as caught:
        host.backend("late")

    assert "pajamas>=99" in caught.value.why


def test_two_distributions_with_one_name_are_both_named(dists):
    write_dist(dists, "pajamas-one", backend_source("twin"), entry="twin")
    write_dist(dists, "pajamas-two", backend_source("twin"), entry="twin")

    with pytest.raises(PluginConflict) as caught:
        PluginHost().backend("twin")

    assert "pajamas-one 1.0 and pajamas-two 1.0" in caught.value.why


def test_a_disabled_plugin_is_not_imported(dists, monkeypatch):
    write_dist(dists, "pajamas-slow", "raise AssertionError('imported')", entry="slow")
    monkeypatch.setenv("PAJAMAS_DISABLE_PLUGINS", "other, slow")
    host = PluginHost()

    assert "slow" not in host.backend_names()
    assert "slow" not in [backend.name for backend in host.working_backends()]
    with pytest.raises(PluginLoadError, match="PAJAMAS_DISABLE_PLUGINS"):
        host.backend("slow")


def test_an_unknown_backend_lists_those_that_are_here(dists):
    write_dist(dists, "pajamas-paper", backend_source("paper"), entry="paper")

    with pytest.raises(UsageError) as caught:
        PluginHost().backend("papyrus")

    assert "paper" in caught.value.why


def test_an_exception_in_describe_names_the_plugin(dists):
    source = "from pajamas.hookspecs import hookimpl\n@hookimpl\ndef describe():\n    return 1 // 0"
    write_dist(dists, "pajamas-faulty", source, entry="faulty")

    with pytest.raises(PluginLoadError) as caught:
        PluginHost().backend("faulty").describe()

    assert "pajamas-faulty" in caught.value.what
    assert "ZeroDivisionError" in caught.value.why


def test_a_plugin_that_fails_in_its_aliases_leaves_the_others_theirs(dists, caplog):
    header = "from pajamas.hookspecs import hookimpl\n@hookimpl\ndef model_aliases():\n"
    write_dist(dists, "pajamas-bad", header + "    return 1 // 0", entry="bad", group="pajamas.plugins")
    write_dist(dists, "pajamas-good", header + "    return {'mine': 'Me/Mine'}", entry="good", group="pajamas.plugins")

    offers = dict(PluginHost().aliases())

    assert offers["pajamas.plugins:good"] == {"mine": "Me/Mine"}
    assert "pajamas" in offers
    assert "ZeroDivisionError" in caplog.text


def test_an_operation_is_given_the_host_that_was_passed_if_it_takes_one(dists):
    source = "def which(host):\n    return host\n"
    for name in ("which", "plain"):
        write_dist(dists, f"pajamas-{name}", source, entry=name, group="pajamas.operations")
        points = dists / f"pajamas_{name}-1.0.dist-info/entry_points.txt"
        points.write_text(points.read_text().replace(f"pajamas_{name}", f"pajamas_{name}:{name}"))
    (dists / "pajamas_plain.py").write_text("def plain(number=1):\n    return number\n")
    host = PluginHost()

    assert core.run("which", host=host) is host
    assert isinstance(core.run("which"), PluginHost)
    assert core.run("plain", number=2, host=host) == 2


def test_an_operation_that_is_no_function_is_broken(dists):
    write_dist(dists, "pajamas-module", "", entry="module", group="pajamas.operations")

    with pytest.raises(PluginLoadError, match="is not a function"):
        core.run("module")
