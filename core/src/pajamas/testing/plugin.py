"""The kit's pytest plugin.

It is loaded in every pytest run of an environment that holds pajamas: it imports only pytest, and does nothing where no
test class inherits from `BackendConformance`.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

GROUPS = (
    "static", "honesty", "detecting", "loading", "quantizing", "generating", "threads", "scoring", "features",
    "load_features", "undeclared", "errors_group", "workers",
)  # fmt: skip
"""Modules whose rules run, in their order."""

pytest.register_assert_rewrite(*(f"pajamas.testing.{name}" for name in GROUPS))


# --- test classes ----------------------------------------------------------------------------------------------------


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: Any, name: str, obj: object) -> Any:
    kit = sys.modules.get("pajamas.testing.conformance")
    if kit is None or not inspect.isclass(obj) or not issubclass(obj, kit.BackendConformance):
        return None
    if obj is kit.BackendConformance:
        return []  # imported to be inherited from
    if not collector.istestclass(obj, name):
        return None
    return ConformanceClass.from_parent(collector, name=name, obj=obj)


class ConformanceClass(pytest.Class):
    """A subclass of `BackendConformance`, held to the rules about overriding before its tests are collected."""

    def collect(self) -> Any:
        from pajamas.testing.overrides import problems, restore_rules

        if found := problems(self.obj):
            raise self.CollectError("\n".join(found))
        restore_rules(self.obj)
        order = list(_rules())
        names = {item: getattr(item, "originalname", "") for item in super().collect()}
        for item, name in names.items():
            if isinstance(item, pytest.Function) and name in order:
                item.user_properties.append((PROPERTY, [self.name, self.obj.backend, _group(item)]))
        # Simple rules first: pytest would begin with the last group. A class's own tests come after the kit's.
        return sorted(names, key=lambda item: order.index(names[item]) if names[item] in order else len(order))

    def funcnamefilter(self, name: str) -> bool:
        """The kit's tests are collected whatever the project's own are called."""
        return name.startswith("test_") or super().funcnamefilter(name)


PROPERTY = "pajamas_conformance"
"""On the report of each of the kit's tests: the class, the backend, the group."""


def _rules() -> dict[str, Callable[..., object]]:
    from pajamas.testing.conformance import TESTS

    return TESTS


def _group(item: pytest.Function) -> str:
    return _rules()[item.originalname].__module__.rpartition(".")[2].removesuffix("_group")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: object) -> Generator[None, Any, Any]:
    """A broken rule is told with the failure, in the words of the test's docstring."""
    report = yield
    if report.failed and any(name == PROPERTY for name, _ in item.user_properties):
        rule = inspect.getdoc(_rules()[item.originalname])  # type: ignore[attr-defined]  # a Function, as it was marked
        report.sections.append(("the rule that is broken", rule))
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    reports = [
        (outcome, dict(report.user_properties)[PROPERTY], report)
        for outcome, found in terminalreporter.stats.items()
        for report in found
        if any(name == PROPERTY for name, _ in getattr(report, "user_properties", ()))
    ]
    if reports:
        from pajamas.testing.summary import lines

        terminalreporter.section("pajamas conformance")
        for line, markup in lines(reports):
            terminalreporter.write_line(line, **markup)


# --- fixtures for plugins' own tests ---------------------------------------------------------------------------------


@pytest.fixture
def pajamas_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home for pajamas: no converted models, no configuration, no Hugging Face cache, no disabled plugins.

    The folder's `config.toml` is the configuration file, `models` the store of artifacts and `huggingface` the cache;
    none of the user's own is seen or touched. Processes that the test starts inherit it.
    """
    home = tmp_path / "pajamas-home"
    home.mkdir()
    (home / "config.toml").touch()
    monkeypatch.setenv("PAJAMAS_CONFIG", str(home / "config.toml"))
    monkeypatch.setenv("PAJAMAS_MODELS", str(home / "models"))
    monkeypatch.setenv("HF_HOME", str(home / "huggingface"))
    for name in ("HF_HUB_CACHE", "HF_TOKEN", "HF_TOKEN_PATH", "PAJAMAS_DISABLE_PLUGINS"):
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.fixture
def fake_distributions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Write distributions that are then found as if they were installed.

    `fake_distributions("pajamas-x", source, entry="x")` writes one, for tests of how a host deals with a plugin. The
    arguments are those of `pajamas.testing.distributions.write_distribution` after the folder; returned is the module's
    file. Processes that the test starts find them too. What was imported from them is forgotten afterwards.
    """
    from pajamas.testing.distributions import write_distribution

    root = tmp_path / "distributions"
    root.mkdir()
    monkeypatch.syspath_prepend(str(root))
    monkeypatch.setenv("PYTHONPATH", str(root), prepend=os.pathsep)
    before = set(sys.modules)
    yield lambda *arguments, **options: write_distribution(root, *arguments, **options)
    for name in set(sys.modules) - before:
        if str(root) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
