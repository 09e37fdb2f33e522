"""The environments that backends work in: make, list, remove."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Literal

from attrs import frozen

from pajamas.environments import making, record, sources
from pajamas.environments.declaration import Environment
from pajamas.environments.devices import variant_for
from pajamas.environments.finding import create_command, find, variable_of
from pajamas.environments.record import EnvironmentRecord
from pajamas.errors import PajamasError, UsageError
from pajamas.plugin_entries import core_version
from pajamas.plugins import PluginHost
from pajamas.progress import NO_PROGRESS, Progress


@frozen(kw_only=True)
class EnvironmentStatus:
    """An environment that a backend declares, or that was left by one."""

    name: str
    backend: str | None
    """The plugin that declares it; None if no installed one does."""
    state: Literal["ready", "outdated", "broken", "missing", "unused"]
    """"outdated" works, but was made from other pins; "unused" is declared by no installed plugin."""
    finding: str
    """The state in words."""
    fix: str = ""
    python: str | None = None
    """Its interpreter."""
    variant: str | None = None
    record: EnvironmentRecord | None = None
    """What was installed; None where none was made, or a variable names another."""


@frozen(kw_only=True)
class Declared:
    """An environment and who declares it."""

    environment: Environment
    backend: str
    distribution: str

    @property
    def own(self) -> tuple[str, ...]:
        """Distributions of pajamas that go into it."""
        return ("pajamas", self.distribution) if self.environment.holds_pajamas else ()


def create_environment(
    name: str,
    device: str | None = None,
    force: bool = False,
    pip_args: str | Sequence[str] = (),
    *,
    progress: Progress = NO_PROGRESS,
    host: PluginHost | None = None,
) -> EnvironmentRecord:
    """Make the environment `name`, for sessions with the same pajamas in it; one that is as it should be stays.

    Args:
        device: "cpu" or "cuda"; None is that of the one which is there, else what this machine has.
        force: make it anew though it is as it should be.
        pip_args: options for `pip install`, such as those of a package index; a text is split as a shell does.

    Raises:
        UsageError: no installed backend declares it, or not for that device, or another process is at it.
        DownloadError, NotEnoughDisk, EngineError: what pip says, or that the engine cannot be imported.
    """
    wanted = declared(name, host or PluginHost())
    made = record.read(name)
    variant = variant_for(wanted.environment, device or (made.variant if made is not None else None))
    if made is not None and not force and made.variant == variant and difference(made, wanted) is None:
        return made
    try:
        arguments = shlex.split(pip_args) if isinstance(pip_args, str) else list(pip_args)
    except ValueError as error:
        raise UsageError(
            f"pip's options cannot be read: {pip_args}", f"{error}.", "Quote them as in a shell."
        ) from error
    return making.make(
        wanted.environment,
        variant,
        backend=wanted.backend,
        distributions={one: sources.pip_arguments(one) for one in wanted.own},
        pip_arguments=arguments,
        progress=progress,
    )


def list_environments(*, host: PluginHost | None = None) -> tuple[EnvironmentStatus, ...]:
    """Every environment that an installed backend declares, and those on the disk that none does."""
    known = {item.environment.name: item for item in all_declared(host or PluginHost())}
    folder = record.environments_folder()
    others = [path.name for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    left = [_left(name) for name in sorted(others) if name not in known]
    return (*(status(item) for _, item in sorted(known.items())), *left)


def remove_environment(name: str, *, host: PluginHost | None = None) -> None:
    """Remove the environment `name` from the disk, also what is left of an unfinished one.

    Raises:
        UsageError: there is none, or another process is at it.
    """
    folder = record.environments_folder()
    there = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if name not in there:
        why = f"There are: {', '.join(there)}." if there else f"There is none in {folder}."
        raise UsageError(f"There is no environment {name!r}.", why, "See `pajamas env list`.")
    making.remove(name)


def status(item: Declared) -> EnvironmentStatus:
    """How one stands, as far as can be told without running it."""
    environment = item.environment
    found = find(environment)
    create = create_command(environment)
    state: Literal["ready", "outdated", "broken", "missing"] = "ready"
    fix = ""
    if found is None:
        state, finding, fix = "missing", "not made", create
        if record.folder_of(environment.name).is_dir():
            finding = "not made: an earlier try did not come to its end"
    elif found.problem is not None:
        state, finding, fix = "broken", found.problem, found.fix
    elif found.record is None:
        finding = f"named by {variable_of(environment)}: {found.engine_version}"
    elif change := difference(found.record, item):
        state, finding, fix = "outdated", change, create
    else:
        finding = f"{found.record.requirements[0]} for {found.variant}, made {found.record.made}"
    return EnvironmentStatus(
        name=environment.name,
        backend=item.backend,
        state=state,
        finding=finding,
        fix=fix,
        python=str(found.python) if found else None,
        variant=found.variant if found else None,
        record=found.record if found else None,
    )


def difference(made: EnvironmentRecord, item: Declared) -> str | None:
    """In what it is not as it would be made now."""
    environment = item.environment
    if not made.python.exists():
        return "its Python is gone"
    if environment.holds_pajamas and made.pajamas != core_version():
        return f"it holds pajamas {made.pajamas}, and this is {core_version()}"
    if made.requirements != environment.variants.get(made.variant):
        now = " ".join(environment.variants.get(made.variant, ())) or "nothing"
        return f"it was made from {' '.join(made.requirements)}, and {item.backend} asks for {now}"
    if made.unwanted != environment.unwanted.get(made.variant, ()):
        return f"{item.backend} has other packages uninstalled now"
    own = {one: " ".join(sources.pip_arguments(one)) for one in item.own}
    if dict(made.sources) != own:
        return f"it has {', '.join(made.sources.values())}, and this pajamas is from {', '.join(own.values())}"
    return None


def declared(name: str, host: PluginHost) -> Declared:
    """The environment of that name.

    Raises:
        UsageError: no installed backend declares it.
        PluginError: the backend of that name is broken.
    """
    known = {item.environment.name: item for item in all_declared(host)}
    if name not in known:
        for backend in host.backend_names():
            if name == backend or name.startswith(f"{backend}-"):
                host.backend(backend).describe()  # raises what is wrong with it, if that is why
        raise UsageError(
            f"No installed backend has an environment {name!r}.",
            f"There are: {', '.join(sorted(known)) or 'none'}.",
            f"If a plugin has it, install that: pip install pajamas-{name}",
        )
    return known[name]


def all_declared(host: PluginHost) -> Iterator[Declared]:
    """Those of every backend that works; of one that fails to describe itself, none."""
    for backend in host.working_backends():
        try:
            info = backend.describe()
        except PajamasError:
            continue  # `pajamas plugins` says why
        for environment in (info.environment, info.quantize_environment):
            if environment is not None:
                yield Declared(environment=environment, backend=backend.name, distribution=backend.entry.distribution)


def _left(name: str) -> EnvironmentStatus:
    made = record.read(name)
    finding = "an earlier try did not come to its end"
    if made is not None:
        finding = f"made for {made.backend}, of which nothing here says that it needs it"
    return EnvironmentStatus(
        name=name,
        backend=None,
        state="unused",
        finding=finding,
        fix=f"pajamas env remove {name}",
        python=str(made.python) if made else None,
        variant=made.variant if made else None,
        record=made,
    )
