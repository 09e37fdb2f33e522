"""Short names of models, and how they come together."""

import pytest

from pajamas import aliases
from pajamas.errors import PluginConflict, PluginError
from pajamas.source import parse_source

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

    assert list(merged.items()) == [("a", "o/a"), ("b", "o/b"), ("c", "/c"), ("d", "o/d")]


def test_conflict_names_both_plugins():
    with pytest.raises(PluginConflict) as caught:
        aliases.merge([("one", {"a": "o/a"}), ("two", {}), ("three", {"a": "o/other"})])

    assert all(word in str(caught.value) for word in ("one", "three", "o/a", "o/other"))
    assert "two" not in caught.value.why


def test_user_wins_and_settles_conflicts():
    offers = [("one", {"a": "o/a"}), ("two", {"a": "o/other"})]

    assert aliases.merge(offers, {"a": "o/mine"}) == {"a": "o/mine"}


@pytest.mark.parametrize("offer", [["a"], {"a": 1}, {1: "a"}, "ab"])
def test_plugin_that_offers_nonsense(offer):
    with pytest.raises(PluginError) as caught:
        aliases.merge([("odd", offer)])

    assert "odd" in caught.value.what
