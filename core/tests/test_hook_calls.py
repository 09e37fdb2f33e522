"""A plugin that fails in a call in which others take part is the one that is named."""

from __future__ import annotations

import pytest

from pajamas.errors import PluginError, UsageError
from pajamas.plugins import PluginHost
from pajamas.types import Artifact, ReportJob, ValidateJob
from plugin_dists import backend_source, write_dist

HEADER = "from pajamas.hookspecs import hookimpl\nfrom pajamas.errors import UsageError\n"
JOB = ValidateJob(candidate=None, original=None, metrics=())


def add(dists, name, source):
    write_dist(dists, f"pajamas-{name}", HEADER + source, entry=name, group="pajamas.plugins")


def host():
    return PluginHost(disabled=frozenset({"pajamas-validate"}))


def test_the_plugin_that_fails_in_validate_is_named_and_not_its_neighbours(dists):
    add(dists, "calm", "@hookimpl\ndef validate(job):\n    return []\n")
    add(dists, "wild", "@hookimpl\ndef validate(job):\n    return helper()\ndef helper():\n    return 1 / 0\n")

    with pytest.raises(PluginError) as caught:
        host().validate(JOB)

    assert "pajamas-wild 1.0: pajamas_wild failed in validate" in caught.value.what
    assert "ZeroDivisionError" in caught.value.why


def test_what_a_plugin_raises_on_purpose_stays_what_it_is(dists):
    add(dists, "strict", "@hookimpl\ndef validate(job):\n    raise UsageError('No.')\n")

    with pytest.raises(UsageError, match="No"):
        host().validate(JOB)


def test_a_plugin_that_leaves_the_program_in_a_hook_is_an_error(dists):
    add(dists, "leaver", "@hookimpl\ndef validate(job):\n    raise SystemExit(0)\n")

    with pytest.raises(PluginError, match="pajamas-leaver"):
        host().validate(JOB)


@pytest.mark.parametrize("answer", ["'good'", "1", "[1]", "{}"])
def test_findings_of_another_type_are_an_error_naming_the_plugin(dists, answer):
    add(dists, "wordy", f"@hookimpl\ndef validate(job):\n    return {answer}\n")

    with pytest.raises(PluginError, match="pajamas-wordy"):
        host().validate(JOB)


def test_the_files_of_a_report_are_collected_and_another_answer_is_an_error(dists, tmp_path):
    job = ReportJob(folder=tmp_path, findings=(), artifact=Artifact(path=tmp_path / "x", format="gguf"))
    add(dists, "writer", "@hookimpl\ndef report(job):\n    return job.folder / 'page'\n")
    assert host().report(job) == [tmp_path / "page"]
    add(dists, "wordy", "@hookimpl\ndef report(job):\n    return 'page'\n")

    with pytest.raises(PluginError, match="pajamas-wordy"):
        host().report(job)


WRAPPERS = {
    "before": "    1 / 0\n    return (yield)\n",
    "after": "    answer = yield\n    1 / 0\n    return answer\n",
}


@pytest.mark.parametrize("when", WRAPPERS)
def test_a_wrapper_that_fails_is_named_and_not_the_backend_that_it_wraps(dists, when):
    write_dist(dists, "pajamas-paper", backend_source("paper"), entry="paper")
    add(dists, "shell", "@hookimpl(wrapper=True)\ndef describe():\n" + WRAPPERS[when])

    with pytest.raises(PluginError) as caught:
        host().backend("paper").describe()

    assert "pajamas-shell 1.0: pajamas_shell failed in describe" in caught.value.what


def test_a_backend_that_fails_under_a_wrapper_is_named_and_not_the_wrapper(dists):
    write_dist(dists, "pajamas-paper", HEADER + "@hookimpl\ndef describe():\n    1 / 0\n", entry="paper")
    add(dists, "shell", "@hookimpl(wrapper=True)\ndef describe():\n    return (yield)\n")

    with pytest.raises(PluginError) as caught:
        host().backend("paper").describe()

    assert "pajamas-paper 1.0" in caught.value.what


def test_what_a_backend_raises_keeps_its_type_for_its_author(dists):
    source = HEADER + "@hookimpl\ndef load(artifact, options):\n    raise RuntimeError('lost')\n"
    write_dist(dists, "pajamas-paper", source, entry="paper")

    with pytest.raises(RuntimeError, match="lost"):
        host().backend("paper").load(None, None)


def test_a_wrapper_takes_part_however_the_model_was_named(dists):
    source = HEADER + "@hookimpl\ndef detect_architecture(files):\n    return files\n"
    write_dist(dists, "pajamas-paper", source, entry="paper")
    add(dists, "fold", "@hookimpl(wrapper=True)\ndef detect_architecture():\n    return (yield) + ', folded'\n")

    assert host().backend("paper").detect_architecture("sheet") == "sheet, folded"
