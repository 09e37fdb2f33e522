"""The operation `validate`: which metrics there are, and what is refused before anything is loaded."""

from __future__ import annotations

import pytest

import pajamas
from pajamas.errors import ModelNotFound, PluginConflict, UnsupportedFeature, UsageError
from pajamas.plugins import PluginHost
from plugin_dists import write_dist

METRICS = """
    from pajamas.hookspecs import hookimpl

    @hookimpl
    def validation_metrics():
        return {metrics}
"""
STRICT = """
    from pajamas.errors import UsageError
    from pajamas.hookspecs import hookimpl

    @hookimpl
    def validation_metrics():
        return {"length": "how long the answers are"}

    @hookimpl
    def check_validation(plan):
        if "ruler" not in plan.options:
            raise UsageError(f"{plan.metrics[0]} needs a ruler.", "", "")
"""
NOTHING_LOADED = "no-such-folder/model.gguf"
DISABLED = frozenset({"validate"})


def offer(dists, name, metrics):
    write_dist(dists, f"pajamas-{name}", METRICS.format(metrics=repr(metrics)), entry=name, group="pajamas.plugins")


def test_metrics_of_all_plugins_are_known(dists):
    offer(dists, "ruler", {"length": "how long the answers are"})
    offer(dists, "scale", {"weight": "how heavy the answers are"})

    assert PluginHost(disabled=DISABLED).metrics() == {
        "length": "how long the answers are",
        "weight": "how heavy the answers are",
    }


def test_a_metric_that_two_plugins_claim_is_an_error_naming_both(dists):
    offer(dists, "ruler", {"length": "one"})
    offer(dists, "tape", {"length": "another"})

    with pytest.raises(PluginConflict) as caught:
        PluginHost(disabled=DISABLED).metrics()

    assert "ruler" in caught.value.why and "tape" in caught.value.why


def test_an_unknown_metric_is_refused_before_anything_is_loaded_and_near_ones_are_suggested(dists):
    offer(dists, "ruler", {"length": "how long the answers are"})

    with pytest.raises(UsageError) as caught:
        pajamas.run("validate", quantized=NOTHING_LOADED, metrics=["lenght"], host=PluginHost(disabled=DISABLED))

    assert "'lenght'" in caught.value.what
    assert "length" in caught.value.why


def test_a_plugin_may_refuse_a_plan_before_anything_is_loaded(dists):
    write_dist(dists, "pajamas-ruler", STRICT, entry="ruler", group="pajamas.plugins")
    given, host = {"quantized": NOTHING_LOADED, "text": "A text."}, PluginHost(disabled=DISABLED)

    with pytest.raises(UsageError, match="length needs a ruler"):
        pajamas.run("validate", **given, host=host)
    with pytest.raises(ModelNotFound):
        pajamas.run("validate", options={"ruler": 1}, **given, host=host)


def test_without_a_plugin_that_measures_the_error_says_which_to_install():
    with pytest.raises(UnsupportedFeature) as caught:
        pajamas.run("validate", quantized=NOTHING_LOADED, host=PluginHost(disabled=DISABLED))

    assert "pip install pajamas-validate" in caught.value.fix
