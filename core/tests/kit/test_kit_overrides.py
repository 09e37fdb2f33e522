"""A test class may not weaken the kit: only `xfail(reason=...)` excuses a test, and it is then shown."""

from __future__ import annotations

import pytest

from kit_backend import with_fault

RULE = "test_name_is_the_entry_points"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (f"def {RULE}(self): pass", "without xfail(reason=...)"),
        (f"{RULE} = None", "without xfail(reason=...)"),
        (f"@pytest.mark.skip(reason='no')\ndef {RULE}(self): pass", "without xfail(reason=...)"),
        (f"@pytest.mark.xfail\ndef {RULE}(self): pass", "without xfail(reason=...)"),
        (f"@pytest.mark.xfail(reason='x')\n@pytest.mark.skip\ndef {RULE}(self): pass", "keeps a test from running"),
        ("@pytest.fixture\ndef info(self): return None", "overrides a part of the kit"),
        ("_require_light = print", "overrides a part of the kit"),
        ("pytestmark = pytest.mark.xfail(reason='all')", "would excuse every rule"),
        ("backend = ''", "sets no backend"),
    ],
)
def test_an_override_without_a_reason_is_refused(check, body, words):
    run = check(with_fault(), tests=("Honesty",), body=body)

    assert words in run.refused
    assert "How to mend it:" in run.refused
    assert run.code != 0
    assert not run.passed


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (f"class Silent:\n    def {RULE}(self): pass\n\nclass BackendConformance(Silent, BackendConformance): pass\n",
         "Silent.test_name_is_the_entry_points overrides"),
        (f"del BackendConformance.__mro__[2].{RULE}\n", f"The kit's own {RULE} was changed or deleted"),
        (f"BackendConformance.{RULE} = None\n", f"The kit's own {RULE} was changed or deleted"),
    ],
)  # fmt: skip
def test_a_rule_cannot_be_taken_away_from_outside_the_class(check, kit_restored, head, words):
    run = check(with_fault(), tests=("Honesty",), head=head)

    assert words in run.refused


@pytest.fixture
def kit_restored(monkeypatch):
    """What a test class does to the kit is undone after the test."""
    from pajamas.testing.conformance import BackendConformance
    from pajamas.testing.honesty import Honesty

    rule = vars(Honesty)[RULE]
    yield
    if RULE in vars(BackendConformance):
        delattr(BackendConformance, RULE)
    setattr(Honesty, RULE, rule)


def test_an_excuse_with_a_reason_is_shown(check):
    body = f"@pytest.mark.xfail(reason='it is called so for good')\ndef {RULE}(self): pass"

    run = check(with_fault(("        name=NAME,", '        name="card",')), tests=("Honesty",), body=body)

    assert (run.failed, run.refused, run.xfailed) == ({}, "", (RULE,))
    assert f"xfailed: it is called so for good ({RULE})" in run.text


def test_an_excuse_does_not_replace_the_rule(check):
    """An override that passes by itself does not hide that the rule is broken, and a condition cannot either."""
    body = f"@pytest.mark.xfail(False, reason='never')\ndef {RULE}(self): pass"

    run = check(with_fault(("        name=NAME,", '        name="card",')), tests=("Honesty",), body=body)

    assert list(run.failed) == [RULE]


def test_a_session_may_be_extended(check):
    body = """
        @pytest.fixture(scope="class")
        @classmethod
        def session(cls, session):
            session.context_length = 0
            return session

        def test_of_its_own(self):
            pass
    """

    run = check(with_fault(), tests=("Loading",), body=body)

    assert list(run.failed) == ["test_the_session_says_what_it_is"]


def test_what_was_not_run_is_not_proven(check):
    run = check(with_fault(), tests=("Honesty",))

    assert "honesty     8 passed" in run.text
    assert "NOT PROVEN:" in run.text
    assert "tests were not run" in run.text
