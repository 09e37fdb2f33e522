"""The kit's rules about a plugin's metadata, hooks and import: each is broken by exactly one fault."""

from __future__ import annotations

import pytest

from kit_backend import with_fault


def test_a_sound_backend_passes(check):
    run = check(with_fault())

    assert (run.failed, run.skipped, run.refused) == ({}, {}, "")
    assert run.passed[0] == "test_registers"
    assert len(run.passed) >= 20


HOOK = "@hookimpl\ndef {}(job):\n    return None\n\n\n@hookimpl\ndef detect_architecture"


@pytest.mark.parametrize(
    ("change", "test", "words"),
    [
        (("import json\n", "import json\nimport nothing_of_that_name\n"), "test_registers", "nothing_of_that_name"),
        (
            ("@hookimpl\ndef detect_architecture", HOOK.format("quantise")),
            "test_hooks_are_spelt_right",
            "Rename it to 'quantize'",
        ),
        (
            ("@hookimpl\ndef detect_architecture", "def detect_architecture"),
            "test_hooks_are_spelt_right",
            "is not marked",
        ),
        (("def quantize(job):", "def quantize(job, threads):"), "test_hook_arguments_are_known", "asks for threads"),
        (
            ("def load(artifact, options):", "def load(artifact, options=None):"),
            "test_hook_arguments_have_no_defaults",
            "options=None",
        ),
        (
            ("import json\n", "import json\nimport paper_engine\n"),
            "test_importing_hooks_loads_no_engine",
            "loads paper_engine",
        ),
        (("import json\n", "import json\nimport numpy\n"), "test_importing_hooks_loads_no_engine", "loads numpy"),
        (
            ("    here = ", "    import numpy\n    here = "),
            "test_describes_itself",
            "describe loads numpy",
        ),
        (("    here = ", "    raise OSError('no driver')\n    here = "), "test_describes_itself", "no driver"),
        (("    return BackendInfo(", "    return dict("), "test_describes_itself", "returns a dict"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith("test_") else "",
)
def test_one_fault_breaks_one_rule(check, change, test, words):
    run = check(with_fault(change), tests=("Static", "Honesty", "Loading"))

    assert list(run.failed) == [test]
    assert words in run.failed[test]
    assert "How to mend it:" in run.failed[test]


def test_describe_may_not_take_long(check, monkeypatch):
    monkeypatch.setattr("pajamas.testing.static.DESCRIBE_SECONDS", 0.5)
    run = check(with_fault(("    here = ", "    import time\n    time.sleep(0.6)\n    here = ")), tests=("Static",))

    assert list(run.failed) == ["test_describes_itself"]
    assert "is too long by far" in run.failed["test_describes_itself"]


@pytest.mark.parametrize(
    ("options", "test", "words"),
    [
        ({"requires": "nothing"}, "test_core_range_is_declared", "does not require a range"),
        ({"requires": "pajamas>=0.1"}, "test_core_range_is_declared", "no upper bound"),
        ({"requires": "pajamas>=7,<8"}, "test_core_range_is_declared", "it needs pajamas"),
        ({"name": "pajamas-cardboard"}, "test_names_follow_the_convention", "Call it pajamas-paper"),
        ({"module": "cardboard"}, "test_names_follow_the_convention", "Call it pajamas_paper"),
        ({"entry": "other"}, "test_registers", "has an entry point 'paper'"),
    ],
)
def test_the_metadata_can_be_at_fault(check, options, test, words):
    run = check(with_fault(), tests=("Static", "Honesty"), dist=options)

    if options.get("entry"):  # nothing can be said of a plugin that is not there
        assert test in run.failed
    else:
        assert list(run.failed) == [test]
    assert words in run.failed[test]


def test_two_distributions_may_not_offer_one_name(check, fake_distributions):
    fake_distributions("pajamas-paper2", with_fault(), entry="paper")

    run = check(with_fault(), tests=("Static",))

    assert "Uninstall one of them" in run.failed["test_registers"]


def test_the_rule_that_is_broken_stands_with_the_failure(check):
    run = check(with_fault(("import json\n", "import json\nimport numpy\n")), tests=("Static",))

    assert "loads neither the engine nor any other heavy library" in run.failed["test_importing_hooks_loads_no_engine"]
    assert "DOES NOT CONFORM: 1 failed" in run.text
