"""What `doctor` says of environments: each is run, and its library imported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pajamas.environments.finding import FoundEnvironment, find
from pajamas.environments.inspection import Inspection, inspect
from pajamas.operations.diagnosis import Diagnosis
from pajamas.operations.environments import Declared, status
from pajamas.operations.plugin_list import PluginStatus
from pajamas.plugin_entries import core_version


def check(plugins: Iterable[PluginStatus]) -> Iterator[Diagnosis]:
    """For every environment that was made or named: does its Python run, and is in it what should be?"""
    for plugin in plugins:
        for environment in (plugin.info.environment, plugin.info.quantize_environment) if plugin.info else ():
            found = find(environment) if environment is not None else None
            if environment is not None and found is not None:
                item = Declared(environment=environment, backend=plugin.name, distribution=plugin.distribution)
                yield _environment(item, found)


def _environment(item: Declared, found: FoundEnvironment) -> Diagnosis:
    environment, known = item.environment, status(item)
    subject, fix = f"environment {environment.name}", found.fix
    if found.problem is not None:
        return Diagnosis(subject=subject, state="problem", finding=found.problem, fix=fix)
    seen = inspect(found.python, *environment.modules)
    requirements = found.record.requirements if found.record else environment.variants[found.variant]
    if problem := seen.problem or _wrong_version(requirements, seen) or _other_pajamas(item, seen):
        return Diagnosis(
            subject=subject, state="problem", finding=problem, fix=f"{fix} --force" if found.record else fix
        )
    engine = " ".join(f"{name} {seen.packages[name]}" for name in _names(requirements))
    own = f", with pajamas {seen.packages['pajamas']}" if environment.holds_pajamas else ""
    finding = f"{engine} on Python {seen.version}{own}: {found.python}"
    if known.state == "outdated":
        return Diagnosis(subject=subject, state="note", finding=f"{finding}; {known.finding}", fix=fix)
    return Diagnosis(subject=subject, state="ok", finding=finding)


def _names(requirements: Iterable[str]) -> list[str]:
    return [canonicalize_name(Requirement(text).name) for text in requirements]


def _wrong_version(requirements: Iterable[str], seen: Inspection) -> str | None:
    for text in requirements:
        wanted = Requirement(text)
        version = seen.packages.get(canonicalize_name(wanted.name))
        if version is None:
            return f"{wanted.name} is not installed in it"
        if not wanted.specifier.contains(version, prereleases=True):
            return f"it has {wanted.name} {version}, and {text} is asked for"
    return None


def _other_pajamas(item: Declared, seen: Inspection) -> str | None:
    if not item.own:
        return None
    version = seen.packages.get("pajamas")
    if version != core_version():
        return f"it has pajamas {version}, and this is {core_version()}"
    if canonicalize_name(item.distribution) not in seen.packages:
        return f"{item.distribution} is not installed in it"
    return None
