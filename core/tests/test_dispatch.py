"""The dispatcher: by format, by name, by device, by features, and always with its reasons."""

from __future__ import annotations

import pytest

from pajamas.dispatch import choose
from pajamas.errors import DeviceNotFound, EngineMissing, UnsupportedFeature, UsageError
from pajamas.plugins import PluginHost
from pajamas.types import Feature
from plugin_dists import backend_source, write_dist


@pytest.fixture
def host(dists):
    write_dist(dists, "pajamas-paper", backend_source("paper"), entry="paper")
    write_dist(dists, "pajamas-press", backend_source("press", features="Feature.GRAMMAR"), entry="press")
    write_dist(dists, "pajamas-stone", backend_source("stone", format="slab", unavailable="no chisel"), entry="stone")
    return PluginHost(disabled=frozenset({"gguf"}))


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
