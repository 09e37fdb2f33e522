"""Plugins that nobody chose: which are imported, which are tried first, and how long a verdict holds."""

from __future__ import annotations

import logging
import os
import sys

import pytest

from pajamas import verdicts
from pajamas.errors import PluginLoadError
from pajamas.module_source import may_define
from pajamas.plugins import PluginHost
from plugin_dists import backend_source, write_dist

MARK = "open(__file__ + '.' + str(__import__('os').getpid()), 'w').close()\n"
HOOK = "from pajamas.hookspecs import hookimpl\n"


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def importers(dists, name):
    """Process numbers of those that imported the module."""
    return {int(path.suffix[1:]) for path in dists.glob(f"pajamas_{name}.py.*")}


def test_what_nobody_chose_is_tried_elsewhere_once_and_then_imported_here(dists):
    write_dist(dists, "pajamas-paper", MARK + backend_source("paper").replace("\n    ", "\n"), entry="paper")

    assert PluginHost().tried_backend("paper").describe().name == "paper"
    assert len(importers(dists, "paper")) == 2 and os.getpid() in importers(dists, "paper")
    del sys.modules["pajamas_paper"]
    assert PluginHost().tried_backend("paper").describe().name == "paper"
    assert len(importers(dists, "paper")) == 2


def test_what_was_chosen_is_imported_at_once(dists):
    write_dist(dists, "pajamas-paper", MARK + backend_source("paper").replace("\n    ", "\n"), entry="paper")

    PluginHost().backend("paper")

    assert importers(dists, "paper") == {os.getpid()}


def test_a_harmful_one_is_not_tried_again_until_its_file_changes(dists):
    write_dist(dists, "pajamas-paper", MARK + "import os\nos._exit(7)", entry="paper")
    for _ in range(2):
        with pytest.raises(PluginLoadError) as caught:
            PluginHost().tried_backend("paper")
        assert "exit status 7" in caught.value.why
    tries = len(importers(dists, "paper"))  # in a row with the others, then alone
    assert os.getpid() not in importers(dists, "paper") and tries <= 2

    (dists / "pajamas_paper.py").write_text(backend_source("paper").replace("\n    ", "\n"))

    assert PluginHost().tried_backend("paper").describe().name == "paper"


def test_what_merely_raises_is_not_held_against_it(dists):
    write_dist(dists, "pajamas-paper", "import pajamas_ink", entry="paper")
    with pytest.raises(PluginLoadError, match="pajamas_ink"):
        PluginHost().tried_backend("paper")

    (dists / "pajamas_ink.py").write_text("")

    PluginHost().tried_backend("paper")


def test_a_damaged_memory_is_no_obstacle(dists):
    write_dist(dists, "pajamas-paper", backend_source("paper"), entry="paper")
    for text in ("{", "[]", "\x00"):
        verdicts._place().parent.mkdir(parents=True, exist_ok=True)
        verdicts._place().write_text(text)

        assert PluginHost().tried_backend("paper").name == "paper"


def test_a_memory_that_cannot_be_written_is_no_obstacle(dists, monkeypatch):
    (dists / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(dists / "file"))
    write_dist(dists, "pajamas-paper", backend_source("paper"), entry="paper")

    assert PluginHost().tried_backend("paper").name == "paper"


def test_a_plugin_is_imported_for_the_hooks_that_it_has(dists):
    source = HOOK + "@hookimpl\ndef model_aliases():\n    return {'mine': 'Me/Mine'}\n"
    write_dist(dists, "pajamas-names", MARK + source, entry="names", group="pajamas.plugins")
    write_dist(dists, "pajamas-other", MARK + HOOK, entry="other", group="pajamas.plugins")
    host = PluginHost()

    host.metrics()
    assert os.getpid() not in importers(dists, "names")
    assert dict(host.aliases())["pajamas.plugins:names"] == {"mine": "Me/Mine"}
    assert os.getpid() in importers(dists, "names") and os.getpid() not in importers(dists, "other")


@pytest.mark.parametrize(
    ("source", "may"),
    [
        ("def model_aliases(): pass", True),
        ("async def model_aliases(): pass", True),
        ("from elsewhere import model_aliases", True),
        ("from elsewhere import names as model_aliases", True),
        ("from elsewhere import *", True),
        ("model_aliases = hookimpl(f)", True),
        ("if True:\n    def model_aliases(): pass", True),
        ("@hookimpl(specname='model_aliases')\ndef f(): pass", True),
        ("def (: model_aliases", True),
        ("'about model_aliases and others'", False),
        ("# def model_aliases", False),
        ("", False),
    ],
)
def test_whether_a_module_has_a_hook_is_told_from_its_source(dists, source, may):
    (dists / "some_hooks.py").write_text(source)

    assert may_define("some_hooks", "model_aliases") is may
    assert "some_hooks" not in sys.modules


def test_what_cannot_be_read_may_have_any_hook():
    assert may_define("no_such_module", "model_aliases")
    assert may_define("math", "model_aliases")


def test_a_plugin_that_is_an_object_works(dists):
    source = "class Plugin:\n    @hookimpl\n    def model_aliases(self):\n        return {'mine': 'Me/Mine'}\n"
    source = HOOK + source + "plugin = Plugin()\n"
    write_dist(dists, "pajamas-names", source, entry="names", group="pajamas.plugins")
    (dists / "pajamas_names-1.0.dist-info/entry_points.txt").write_text(
        "[pajamas.plugins]\nnames = pajamas_names:plugin\n"
    )

    assert dict(PluginHost().aliases())["pajamas.plugins:names"] == {"mine": "Me/Mine"}


def test_ctrl_c_while_a_plugin_is_imported_is_no_fault_of_it(dists):
    write_dist(dists, "pajamas-paper", "raise KeyboardInterrupt", entry="paper")

    with pytest.raises(KeyboardInterrupt):
        PluginHost().backend("paper")


def test_a_name_that_disables_nothing_is_warned_of_and_one_of_a_distribution_is_not(dists, monkeypatch, caplog):
    write_dist(dists, "pajamas-paper", "1 / 0", entry="sheet")
    monkeypatch.setenv("PAJAMAS_DISABLE_PLUGINS", "Pajamas_Paper, papyrus")

    with caplog.at_level(logging.WARNING):
        host = PluginHost()

    assert "papyrus" in caplog.text and "Paper" not in caplog.text
    assert "sheet" not in host.backend_names()


def test_disabling_one_of_two_that_claim_a_name_leaves_the_other(dists, monkeypatch):
    write_dist(dists, "pajamas-one", backend_source("twin"), entry="twin")
    write_dist(dists, "pajamas-two", "1 / 0", entry="twin")
    monkeypatch.setenv("PAJAMAS_DISABLE_PLUGINS", "pajamas-two")

    host = PluginHost()

    assert host.backend("twin").describe().name == "twin"
    assert [found.problem for found in host.examine(host.claims("pajamas.backends", "twin")).values()] == [
        None,
        "disabled by PAJAMAS_DISABLE_PLUGINS",
    ]
