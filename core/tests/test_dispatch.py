"""The dispatcher: by format, by name, by device, by features, and always with its reasons."""

from __future__ import annotations

import pytest

from pajamas.dispatch import choose
from pajamas.errors import (
    DeviceNotFound,
    EngineMissing,
    PluginConflict,
    PluginLoadError,
    UnsupportedFeature,
    UsageError,
)
from pajamas.plugins import PluginHost
from pajamas.types import Feature
from plugin_dists import backend_source, write_dist


@pytest.fixture
def host(dists):
    installed = frozenset(PluginHost().backend_names())
    write_dist(dists, "pajamas-paper", backend_source("paper"), entry="paper")
    write_dist(dists, "pajamas-press", backend_source("press", features="Feature.GRAMMAR"), entry="press")
    write_dist(dists, "pajamas-stone", backend_source("stone", format="slab", unavailable="no chisel"), entry="stone")
    return PluginHost(disabled=installed)


def test_the_backend_called_like_the_format_serves_it(host):
    choice = choose(host, "paper")

    assert choice.backend.name == "paper"
    assert choice.reasons[-1] == "paper takes it and runs on cpu: chosen."


def test_features_move_the_choice_and_the_reasons_say_so(host):
    choice = choose(host, "paper", needs=[Feature.GRAMMAR])

    assert choice.backend.name == "press"
    assert any(reason.startswith("paper:") and "grammar" in reason for reason in choice.reasons)


def test_a_feature_that_the_named_backend_lacks_is_refused_and_others_are_named(host):
    with pytest.raises(UnsupportedFeature) as caught:
        choose(host, "paper", "paper", [Feature.GRAMMAR])

    assert "grammar" in caught.value.what
    assert "press" in caught.value.fix


def test_a_named_backend_that_does_not_take_the_format_is_refused(host):
    with pytest.raises(UnsupportedFeature, match="'stone' does not take paper artifacts"):
        choose(host, "paper", "stone")


def test_a_format_that_nobody_takes(host):
    with pytest.raises(UnsupportedFeature) as caught:
        choose(host, "vellum")

    assert "No installed backend takes vellum" in caught.value.what
    assert "pip" not in caught.value.fix


@pytest.mark.parametrize(("format", "fix"), [
    ("papre", "Did you mean 'paper'?"), ("ggfu", "Did you mean 'gguf'?"),
])  # fmt: skip
def test_a_misspelt_format_is_corrected(host, format, fix):
    with pytest.raises(UnsupportedFeature) as caught:
        choose(host, format)

    assert caught.value.fix.endswith(fix)


def test_a_backends_name_is_no_format(host):
    with pytest.raises(UnsupportedFeature) as caught:
        choose(host, "stone")

    assert caught.value.fix == "Backend 'stone' takes slab: --formats slab --backend stone"


def test_an_engine_that_cannot_run_here_says_why(host):
    with pytest.raises(EngineMissing) as caught:
        choose(host, "slab")

    assert (caught.value.why, caught.value.fix) == ("no chisel", "install the engine")
    assert choose(host, "slab", runnable=False).backend.name == "stone"


def test_a_device_that_is_not_here_is_an_error_and_no_fallback(host):
    with pytest.raises(DeviceNotFound, match="no cuda device"):
        choose(host, "paper", "cuda")
    assert choose(host, "paper", "cpu").device == "cpu"


def test_an_unknown_backend(host):
    with pytest.raises(UsageError, match="no backend 'papyrus'"):
        choose(host, "paper", "papyrus")


def test_features_are_among_the_reasons(host):
    reasons = choose(host, "paper", needs=[Feature.STREAM]).reasons

    assert "What was asked for needs: stream." in reasons
    assert reasons[-1] == "paper takes it, supports stream and runs on cpu: chosen."


def test_a_feature_that_no_backend_has(host):
    with pytest.raises(UnsupportedFeature) as caught:
        choose(host, "slab", needs=[Feature.SCORE])

    assert "'stone' does not support score" in caught.value.what
    assert "no other installed backend supports it" in caught.value.fix


def test_the_format_is_told_apart_from_the_features(host):
    with pytest.raises(UnsupportedFeature) as caught:
        choose(host, "paper", "stone", [Feature.GRAMMAR])

    assert "does not take paper" in caught.value.what
    assert "convert" in caught.value.fix


def test_the_broken_backend_of_the_format_is_the_error(dists, caplog):
    write_dist(dists, "pajamas-clay", "1 / 0", entry="clay")

    with pytest.raises(PluginLoadError, match=r"pajamas-clay 1\.0.*could not be imported"):
        choose(PluginHost(), "clay")
    assert "pajamas-clay" not in caplog.text  # the error says it


def test_the_backend_of_the_format_that_two_distributions_offer_is_the_error(dists):
    for name in ("pajamas-clay", "pajamas-mud"):
        write_dist(dists, name, backend_source("clay", format="clay"), entry="clay")

    with pytest.raises(PluginConflict, match=r"pajamas-clay 1\.0 and pajamas-mud 1\.0"):
        choose(PluginHost(), "clay")


def test_the_disabled_backend_of_the_format_is_the_error(host):
    with pytest.raises(PluginLoadError, match="disabled by PAJAMAS_DISABLE_PLUGINS"):
        choose(host, "echo")


def test_another_backend_serves_where_that_of_the_format_is_broken(host, dists, caplog):
    write_dist(dists, "pajamas-clay", "1 / 0", entry="clay")
    write_dist(dists, "pajamas-potter", backend_source("potter", format="clay"), entry="potter")

    choice = choose(PluginHost(), "clay")

    assert choice.backend.name == "potter"
    assert any("could not be imported" in reason for reason in choice.reasons)
    assert "pajamas-clay" in caplog.text


def test_what_is_disabled_is_passed_over_without_a_warning(dists, caplog):
    write_dist(dists, "pajamas-clay", backend_source("clay", format="clay"), entry="clay")
    write_dist(dists, "pajamas-potter", backend_source("potter", format="clay"), entry="potter")

    assert choose(PluginHost(disabled=frozenset({"clay"})), "clay").backend.name == "potter"
    assert "clay" not in caplog.text


def test_a_backend_that_is_slow_with_a_format_is_chosen_only_where_it_is_named(dists):
    source = backend_source("snail", "vellum").replace("fix=", 'named_formats=frozenset({"vellum"}), fix=')
    write_dist(dists, "pajamas-snail", source, entry="snail")

    assert choose(PluginHost(), "vellum", "snail").info.name == "snail"
    with pytest.raises(UnsupportedFeature, match="only where it is named") as caught:
        choose(PluginHost(), "vellum")
    assert caught.value.fix == "Name it: --backend snail"
