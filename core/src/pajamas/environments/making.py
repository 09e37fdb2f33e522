"""Making an environment: a new folder, pip, a try of the engine, and only then the record that makes it one."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pajamas.environments import record
from pajamas.environments.declaration import Environment
from pajamas.environments.inspection import Inspection, inspect
from pajamas.environments.pip import make_venv, run_pip
from pajamas.environments.record import EnvironmentRecord
from pajamas.errors import DownloadError, EngineError, NotEnoughDisk, UsageError
from pajamas.plugin_entries import core_version
from pajamas.progress import Progress

_PIP = "pip>=24.1"
"""The first that tells how far a download is (--progress-bar=raw)."""
_QUIET = ("--no-input", "--disable-pip-version-check")


def make(
    environment: Environment,
    variant: str,
    *,
    backend: str,
    distributions: Mapping[str, Sequence[str]],
    pip_arguments: Sequence[str],
    progress: Progress,
) -> EnvironmentRecord:
    """Make the environment anew. What stood there serves until this one is whole, and is removed then.

    However this ends, there is a whole environment or none more than before.

    Args:
        backend: the plugin that works in it.
        distributions: those of pajamas that go into it, if any do, each with what pip installs it by.
        pip_arguments: passed to `pip install` as they are; not recorded, for they may hold passwords.

    Raises:
        UsageError: another process is making it, or the folder cannot be written.
        DownloadError, NotEnoughDisk: said by pip.
        EngineError: pip failed otherwise, or the engine cannot be imported from what it installed.
    """
    name = environment.name
    home = record.folder_of(name)
    with held(name):
        sweep(name)
        log = home / record.LOG_NAME
        log.unlink(missing_ok=True)
        folder = home / uuid.uuid4().hex[:8]
        try:
            python = make_venv(folder, log)
            install = ("install", *_QUIET)
            shares = _prepare(python, pip_arguments, log, progress)
            requirements = environment.variants[variant]
            own = [argument for arguments in distributions.values() for argument in arguments]
            # One call: what pajamas needs and what the engine pins must fit together.
            command = (*install, *shares, *pip_arguments, *requirements, *own)
            run_pip(python, command, log, progress, f"Installing {name} for {variant}")
            unwanted = environment.unwanted.get(variant, ())
            if unwanted:
                run_pip(python, ("uninstall", "--yes", *_QUIET[1:], *unwanted), log, progress, "Removing what is unfit")
            with progress.stage(f"Trying {environment.module}", None, "packages"):
                found = _tried(environment, python)
            made = EnvironmentRecord(
                name=name,
                backend=backend,
                variant=variant,
                python=python,
                python_version=found.version,
                made=datetime.now(UTC).isoformat(timespec="seconds"),
                pajamas=core_version(),
                requirements=requirements,
                unwanted=unwanted,
                sources={distribution: " ".join(arguments) for distribution, arguments in distributions.items()},
                packages=dict(sorted(found.packages.items())),
                size=_size(folder),
            )
            record.write(made)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        sweep(name)
    return made


def remove(name: str) -> None:
    """Remove the environment and whatever is left of unfinished ones.

    Raises:
        UsageError: a process is making it, or it cannot be removed.
    """
    home = record.folder_of(name)
    with held(name):
        (home / record.FILE_NAME).unlink(missing_ok=True)  # from here on there is none
        shutil.rmtree(home, ignore_errors=True)


def sweep(name: str) -> None:
    """Remove every folder of that name but the one of the record: of runs that were killed, or replaced ones."""
    made = record.read(name)
    for path in record.folder_of(name).iterdir():
        if path.is_dir() and not (made is not None and made.python.is_relative_to(path)):
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def held(name: str) -> Iterator[None]:
    """The right to change the environment: one process has it at a time."""
    from filelock import FileLock, Timeout

    home = record.folder_of(name)
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{home}.lock", timeout=0)
        lock.acquire()
    except Timeout:
        raise UsageError(
            f"The environment {name!r} is being made or removed by another process.", "", "Wait until it is done."
        ) from None
    except OSError as error:
        raise UsageError(
            f"{home} cannot be written to.", error.strerror or str(error), f"Set {record.FOLDER_VARIABLE}."
        ) from error
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise NotEnoughDisk(f"The disk of {home} became full.", str(error), "Free some space.") from error
    finally:
        lock.release()


def _prepare(python: Path, pip_arguments: Sequence[str], log: Path, progress: Progress) -> tuple[str, ...]:
    """Have a pip that tells how far a download is; the option for it. The one that Python brings does all else too."""
    try:
        run_pip(python, ("install", *_QUIET, "--upgrade", _PIP, *pip_arguments), log, progress, "Preparing pip")
    except (DownloadError, EngineError):
        return ()
    return ("--progress-bar=raw",)


def _tried(environment: Environment, python: Path) -> Inspection:
    found = inspect(python, *environment.modules)
    if found.problem is not None:
        raise EngineError(
            f"The environment {environment.name!r} was installed and does not work.",
            f"{found.problem}.",
            "If another device was meant, name it: --cpu or --cuda.",
        )
    return found


def _size(folder: Path) -> int:
    """Bytes of all files; a file with two names counts once."""
    seen: dict[tuple[int, int], int] = {}
    for path, _, names in os.walk(folder):
        for name in names:
            state = os.lstat(os.path.join(path, name))
            seen[state.st_dev, state.st_ino] = state.st_size
    return sum(seen.values())
