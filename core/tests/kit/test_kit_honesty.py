"""The kit's rules about what `describe` and a session say of themselves: each is broken by exactly one fault."""

from __future__ import annotations

import pytest

from kit_backend import with_fault


@pytest.mark.parametrize(
    ("change", "test", "words"),
    [
        (("        name=NAME,", '        name="card",'), "test_name_is_the_entry_points", "name='card'"),
        (('devices=("cpu",)', "devices=()"), "test_declares_formats_and_devices", "devices=()"),
        (('devices=("cpu",)', 'devices=("gpu",)'), "test_declares_formats_and_devices", "Devices are: cuda, metal"),
        (("frozenset({Feature.STREAM}),\n        dev", 'frozenset({"glow"}),\n        dev'),
         "test_declares_known_features", "not their texts"),
        (('schemes=("plain", "Fine")', 'schemes=("plain", "Plain")'), "test_schemes_are_distinct", "are one name"),
        (('devices=("cpu",)', 'devices=("cpu", "cpu")'), "test_declares_formats_and_devices", "Name each once"),
        (('schemes=("plain", "Fine")', 'schemes=("plain", "")'), "test_schemes_are_distinct", "every scheme a name"),
        (('        devices=', '        refused_schemes={"FINE": "no"},\n        devices='), "test_schemes_are_distinct",
         "both makes and refuses fine"),
        (('unavailable=None if here', 'unavailable="it\\nis not here" if here'), "test_unavailable_says_what_to_do",
         "in one line"),
        (('{"simple": "plain"}', '{"simple": "rough"}'), "test_scheme_aliases_mean_schemes", "no declared scheme"),
        (('{"simple": "plain"}', '{"FINE": "plain"}'), "test_scheme_aliases_mean_schemes", "is a scheme itself"),
    ],
)  # fmt: skip
def test_one_fault_of_the_record_breaks_one_rule(check, change, test, words):
    run = check(with_fault(change), tests=("Honesty",))

    assert list(run.failed) == [test]
    assert words in run.failed[test]


OFFERED = "    features = frozenset({Feature.STREAM})"
SAYS = "test_the_session_says_what_it_is"


@pytest.mark.parametrize(
    ("change", "test", "words"),
    [
        (("    backend = NAME", '    backend = "card"'), SAYS, "not 'paper'"),
        (("    context_length = 1000", "    context_length = 0"), SAYS, "many tokens"),
        ((OFFERED, OFFERED.replace("STREAM", "STREAM, Feature.SEED")), SAYS, "offers seed"),
        (("    return session.generate(request) if session.backend == NAME else None",
          "    return session.generate(request)"), "test_foreign_artifacts_are_left_to_others", "generate gives"),
        (("    if artifact.format != \"paper\":\n        return None\n", ""),
         "test_foreign_artifacts_are_left_to_others", "load gives"),
        (("    if options.device not in", "    if None not in"), "test_a_device_that_is_not_here_is_refused",
         "For the device cuda"),
        (("    if job.format !=", "    raise OSError('no disk')\n    if job.format !="),
         "test_the_model_becomes_an_artifact", "no disk"),
        (("    return Session(paper_engine)", "    return None"), "test_the_artifact_loads", "cannot load 'paper'"),
        (("    return Session(paper_engine)", "    raise ValueError('odd')"), "test_the_artifact_loads", "odd"),
    ],
)  # fmt: skip
def test_one_fault_of_a_session_breaks_one_rule(check, change, test, words):
    run = check(with_fault(change), tests=("Honesty", "Loading"))

    assert list(run.failed) == [test]
    assert words in run.failed[test]


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ('file_suffixes={".paper": "card"}', "file_suffixes speaks of 'card'"),
        ('file_suffixes={"paper": "paper"}', "begins with a dot"),
        ('folder_markers={"paper.txt": "card"}', "folder_markers speaks of 'card'"),
        ('folder_markers={"a/b": "paper"}', "lies in the folder itself"),
        ('profile_schemes={"card": {"hq": "plain"}}', "profile_schemes speaks of 'card'"),
        ('profile_schemes={"paper": {"best": "plain"}}', "Of profiles there are: balanced, ultra, hq"),
        ('profile_schemes={"paper": {"hq": "rough"}}', "Of schemes there are: plain, Fine"),
    ],
)
def test_formats_are_told_apart_by_what_is_declared(check, field, words):
    run = check(with_fault(("        engine=", f"        {field},\n        engine=")), tests=("Honesty",))

    assert list(run.failed) == ["test_formats_can_be_told_apart"]
    assert words in run.failed["test_formats_can_be_told_apart"]


@pytest.mark.parametrize(
    ("begin", "words"),
    [
        ('    if thorough:\n        raise OSError("the engine fell over")\n', "the engine fell over"),
        ('    if thorough:\n        return BackendInfo(name="x", engine="x", engine_version=None, formats=("x",), '
         "schemes=(), features=frozenset())\n", "with thorough=True"),
        ("    import os\n    thorough and os.abort()\n", "SIGABRT"),
    ],
)  # fmt: skip
def test_a_thorough_description_may_not_differ(check, begin, words):
    run = check(with_fault(("def describe():\n", f"def describe(thorough):\n{begin}")), tests=("Honesty",))

    assert list(run.failed) == ["test_a_thorough_description_agrees"]
    assert words in run.failed["test_a_thorough_description_agrees"]


def test_what_is_unavailable_says_what_to_do(check):
    source = with_fault(("unavailable=None if here else", "unavailable="), ('fix="" if here else', 'fix="" and'))

    run = check(source, tests=("Honesty",))

    assert list(run.failed) == ["test_unavailable_says_what_to_do"]


def test_a_backend_whose_engine_is_not_here_is_not_proven(check):
    source = with_fault(("unavailable=None if here else", "unavailable="), ('fix="" if here else', "fix="))

    run = check(source)

    assert run.failed == {}
    assert "paper-engine is not installed" in run.skipped["test_the_artifact_loads"]
    assert "NOT PROVEN: the engine cannot run here" in run.text
