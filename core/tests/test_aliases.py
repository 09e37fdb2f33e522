"""Short names of models, and how they come together."""

import pytest

from pajamas import aliases
from pajamas.errors import PluginConflict, PluginError
from pajamas.operations.inventory import list_models
from pajamas.operations.resolving import resolve
from pajamas.plugins import PluginHost
from pajamas.source import parse_source
from plugin_dists import write_dist

# The names that the issue asks for, `tiny` aside: that one comes from a plugin.
NAMES = ["qwen3-8b", "qwen3-1.7b", "qwen3-0.6b", "qwen3-30b-a3b", "qwen3-coder"]
NAMES += ["phi-4", "phi-4-mini-reasoning", "gpt-oss-20b"]


def test_core_offers_the_promised_names():
    offered = aliases.model_aliases()

    assert sorted(offered) == sorted(NAMES)
    assert aliases.DEFAULT_MODEL in offered
    assert [parse_source(name, offered).repo_id for name in ("qwen3-8b", "phi-4", "gpt-oss-20b")] == [
        "Qwen/Qwen3-8B",
        "microsoft/phi-4",
        "openai/gpt-oss-20b",
    ]
    assert {parse_source(name, offered).kind for name in NAMES} == {"hub"}


def test_merge():
    offers = [("core", {"b": "o/b", "a": "o/a"}), ("other", {"a": "o/a", "c": "/c"})]

    merged = aliases.merge(offers, {"d": "o/d"})

    assert list(merged.known.items()) == [("a", "o/a"), ("b", "o/b"), ("c", "/c"), ("d", "o/d")]
    assert not merged.conflicts and not merged.broken


def test_conflict_names_both_plugins_and_takes_no_other_alias_away():
    merged = aliases.merge([("one", {"a": "o/a", "b": "o/b"}), ("two", {}), ("three", {"a": "o/other"})])

    assert dict(merged.known) == {"b": "o/b"}
    conflict = merged.conflicts["a"]
    assert isinstance(conflict, PluginConflict)
    assert all(word in str(conflict) for word in ("one", "three", "o/a", "o/other"))
    assert "two" not in conflict.why


def test_user_wins_and_settles_conflicts():
    merged = aliases.merge([("one", {"a": "o/a"}), ("two", {"a": "o/other"})], {"a": "o/mine"})

    assert (dict(merged.known), dict(merged.conflicts)) == ({"a": "o/mine"}, {})


@pytest.mark.parametrize("offer", [["a"], {"a": 1}, {1: "a"}, "ab"])
def test_plugin_that_offers_nonsense_is_named_and_left_out(offer):
    merged = aliases.merge([("odd", offer), ("good", {"a": "o/a"})])

    assert dict(merged.known) == {"a": "o/a"}
    [error] = merged.broken
    assert isinstance(error, PluginError) and "odd" in error.what


def test_only_who_uses_a_disputed_alias_hears_of_it(dists):
    header = "from pajamas.hookspecs import hookimpl\n@hookimpl\ndef model_aliases():\n"
    for name in ("one", "two"):
        source = header + f"    return {{'disputed': 'O/{name}', '{name}': 'O/{name}'}}"
        write_dist(dists, f"pajamas-{name}", source, entry=name, group="pajamas.plugins")
    host = PluginHost()

    assert resolve(host, "one").repo_id == "O/one"
    with pytest.raises(PluginConflict, match="disputed"):
        resolve(host, "disputed")
    assert any("disputed" in warning for warning in list_models(host=host).warnings)
