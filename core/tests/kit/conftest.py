"""Runs the conformance kit over one backend, with pytest's own runner, and says which of its tests failed and why."""

from __future__ import annotations

import io
import sys
import textwrap
from contextlib import redirect_stdout
from types import MappingProxyType

import pytest
from attrs import field, frozen

OPTIONS = ("-Werror", "--import-mode=importlib", "-pno:cacheprovider", "-pno:timeout", "--color=no")


@frozen
class KitRun:
    """What came of one run of the kit."""

    code: int
    failed: dict[str, str] = field(factory=dict)
    """Test to the text that a person sees of its failure."""
    passed: tuple[str, ...] = ()
    skipped: dict[str, str] = field(factory=dict)
    """Test to the reason."""
    xfailed: tuple[str, ...] = ()
    refused: str = ""
    """Why the test class was not collected."""
    text: str = ""
    """All that pytest printed."""


class _Recorder:
    def __init__(self):
        self.failed, self.passed, self.skipped, self.xfailed, self.refused = {}, [], {}, [], ""

    def pytest_collectreport(self, report):
        if report.failed:
            self.refused += str(report.longrepr)

    def pytest_runtest_logreport(self, report):
        name = report.nodeid.rpartition("::")[2]
        if report.failed:
            self.failed[name] = "\n".join([str(report.longrepr), *(text for _, text in report.sections)])
        elif hasattr(report, "wasxfail"):
            self.xfailed.append(name)
        elif report.skipped:
            self.skipped[name] = report.longrepr[2]
        elif report.when == "call":
            self.passed.append(name)

    def result(self, code, text):
        return KitRun(code, self.failed, tuple(self.passed), self.skipped, tuple(self.xfailed), self.refused, text)


@pytest.fixture
def run_pytest(tmp_path):
    """`run_pytest(source)`: a test module with that source, in a project of its own, or the named tests of it."""

    def run(source, *, tests=(), ini="", options=()):
        place = tmp_path / "project"
        place.mkdir(exist_ok=True)
        (place / "pytest.ini").write_text(f"[pytest]\n{ini}\n")
        file = place / "test_conformance.py"
        file.write_text(source)
        chosen = [f"{file}::{test}" for test in tests] or [str(file)]
        recorder, printed = _Recorder(), io.StringIO()
        try:
            with redirect_stdout(printed):
                code = pytest.main(
                    [*chosen, *OPTIONS, *options, f"--rootdir={place}", f"-c{place / 'pytest.ini'}"], [recorder]
                )
        finally:
            sys.modules.pop(file.stem, None)  # else the next run would be given this one's
        return recorder.result(int(code), printed.getvalue())

    return run


@pytest.fixture
def run_kit(run_pytest):
    """`run_kit(backend, body, tests=...)`: the kit over a backend, by a test class with this body.

    `tests` are the names of those that run; none named is all of them. `head` stands before the class. Nothing is
    imported into the test class's module but `BackendConformance` and `pytest`.
    """

    def run(backend, body="", *, tests=(), head="", **options):
        name = f"Test{backend.capitalize()}"
        source = (
            "import pytest\nfrom pajamas.testing import BackendConformance\n\n"
            + textwrap.dedent(head)
            + f"\n\nclass {name}(BackendConformance):\n    backend = {backend!r}\n"
            + textwrap.indent(textwrap.dedent(body), "    ")
        )
        return run_pytest(source, tests=[f"{name}::{test}" for test in tests], **options)

    return run


OWN = ("Static", "Honesty", "Detecting", "Loading", "Errors", "Workers")


@pytest.fixture
def check(run_kit, fake_distributions):
    """`check(source)`: the kit's groups of `OWN` (or `tests`) over a backend called "paper" with that source."""
    from kit_backend import ENGINE
    from pajamas.testing.conformance import TESTS

    def run(source, *, tests=OWN, body="", dist=MappingProxyType({}), **options):
        sound = {"name": "pajamas-paper", "entry": "paper", "requires": "pajamas>=0.1,<1"}
        module = fake_distributions(source=source, **sound | dist)
        module.with_name("paper_engine.py").write_text(textwrap.dedent(ENGINE))
        chosen = [
            test for test, function in TESTS.items() if {test, function.__qualname__.partition(".")[0]} & set(tests)
        ]
        body = f'engine_modules = ("paper_engine",)\n{textwrap.dedent(body)}'
        return run_kit("paper", body, tests=chosen, **options)

    return run
