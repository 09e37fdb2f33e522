"""What `quantize` must do with files that matter to people."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from pajamas.errors import PajamasError, TargetExists, UsageError
from pajamas.testing.asking import ask
from pajamas.testing.children import same_path
from pajamas.testing.group import Group, require
from pajamas.testing.hook_functions import implementations

if TYPE_CHECKING:
    from pajamas.backend import Backend
    from pajamas.operations.converting import ConvertResult
    from pajamas.plugins import PluginHost
    from pajamas.types import Artifact, BackendInfo

MOMENTS = 5
"""At how many moments of a run it is killed."""
LIMIT = 600.0
_CONVERT = """
import sys, pajamas
model, output, format, scheme, backend = sys.argv[1:]
print("ready", flush=True)
pajamas.run("convert", model=model, output=output, formats=[format], precision=scheme, backend=backend)
"""


class Quantizing(Group):
    """From a source model to an artifact."""

    @pytest.fixture(scope="class")
    @classmethod
    def wanted(cls, hooks: ModuleType, info: BackendInfo) -> str:
        """The scheme that the tests make."""
        if "quantize" not in implementations(hooks):
            pytest.skip("there is no quantize hook")
        if not info.schemes:
            pytest.skip("no scheme is declared")
        return cls.scheme or info.schemes[0]

    def test_an_existing_target_is_not_touched(
        self, host: PluginHost, format: str, wanted: str, artifact: Artifact, tmp_path: Path
    ) -> None:
        """`quantize` itself refuses a target that is there with `TargetExists`, and leaves it as it is.

        A folder in the place of a file, or a file in that of a folder, may be another `UsageError`.
        """
        target = _convert(self, host, format, wanted, tmp_path / "out", dry_run=True).artifacts[0].path
        target.parent.mkdir(parents=True, exist_ok=True)
        for what in ("a file", "a folder with a file"):
            precious = target if what == "a file" else target / "precious"
            precious.parent.mkdir(parents=True, exist_ok=True)
            precious.write_bytes(b"precious")
            error_for_this = TargetExists if artifact.path.is_file() == target.is_file() else UsageError
            try:
                _quantize_past_core(self, host, format, wanted, target)
            except error_for_this:
                seen = ""
            except Exception as error:  # whatever it is, it is not the error for this
                seen = f"it raises {type(error).__name__}: {error}"
            else:
                seen = "it goes on"
            kept = precious.is_file() and precious.read_bytes() == b"precious"
            require(
                kept and not seen,
                f"Where {what} stands at the target, {seen or 'the error is right'}, and it is "
                f"{'left as it was' if kept else 'gone or changed'}.",
                "Look at job.output before any work, and raise TargetExists unless job.force.",
            )
            precious.unlink()
            if precious != target:
                target.rmdir()

    def test_a_killed_run_leaves_nothing(
        self, host: PluginHost, format: str, wanted: str, artifact: Artifact, tmp_path: Path
    ) -> None:
        """Killed at any moment a run leaves nothing under the final name, and the next run works."""
        if os.name != "posix":
            pytest.skip("kill -9 is POSIX")
        folder = tmp_path / "out"
        target = _convert(self, host, format, wanted, folder, dry_run=True).artifacts[0].path
        whole = _killed_after(self, format, wanted, tmp_path / "whole", LIMIT)
        if whole is None:
            pytest.skip("there is no artifact: see test_the_model_becomes_an_artifact")
        for moment in range(MOMENTS):
            _killed_after(self, format, wanted, folder, whole * (moment + 0.5) / MOMENTS)
            if not target.exists():
                continue
            size = _size(target)
            require(
                size == _size(artifact.path),
                f"Killed in the middle, a run leaves {size:,} bytes under the final name {target.name}.",
                "Write beside the target, and rename when the artifact is complete (os.replace).",
            )
            break  # complete: it was killed after the end
        try:
            result = _convert(self, host, format, wanted, folder, force=True)
        except PajamasError as error:
            require(False, f"After a killed run the next one fails: {error}", "Let nothing that is left be in the way.")
        else:
            require(
                _size(result.artifacts[0].path) == _size(artifact.path),
                f"After a killed run the next one makes {_size(result.artifacts[0].path):,} bytes, not "
                f"{_size(artifact.path):,}.",
                "Begin anew: never go on with what a killed run has left, unless it is checked.",
            )

    def test_the_size_is_as_announced(
        self, host: PluginHost, format: str, wanted: str, artifact: Artifact, tmp_path: Path
    ) -> None:
        """A dry run announces the exact size, and writes nothing."""
        folder = tmp_path / "out"
        announced = _convert(self, host, format, wanted, folder, dry_run=True).artifacts[0]
        left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
        require(not left, f"A dry run leaves {', '.join(left)}.", "With job.dry_run write nothing, not even a folder.")
        least, most = _weights(artifact.path)
        require(
            announced.size == artifact.size and least <= artifact.size <= most,
            f"A dry run announces {announced.size:,} bytes, the run reports {artifact.size:,}, and there are "
            f"{least:,} to {most:,} bytes of weights.",
            "Compute the size from the headers; Artifact.size is the bytes of the weights on disk.",
        )

    def test_the_artifact_answers(self, registered: Backend, artifact: Artifact, wanted: str) -> None:
        """What `quantize` has made loads and answers."""
        session = registered.load(artifact, self.load_options)
        try:
            told = ask(session, self.prompt, max_tokens=2)
        finally:
            session.close()
        require(told.tokens, "It answers nothing.", "Compare it with the source model's answer.")

    def test_every_declared_scheme_is_taken(
        self, host: PluginHost, info: BackendInfo, format: str, wanted: str, tmp_path: Path
    ) -> None:
        """Each scheme that `describe` declares, and each alias, passes a dry run."""
        for scheme in (*info.schemes, *info.scheme_aliases):
            try:
                found = _convert(self, host, format, scheme, tmp_path / "out", dry_run=True).artifacts[0]
            except PajamasError as error:
                require(
                    False,
                    f"The scheme {scheme} is declared, and refused: {' '.join(str(error).splitlines())}",
                    "Do not declare it, or name it in `refused_schemes` with the reason.",
                )
            else:
                require(
                    found.scheme in info.schemes,
                    f"The scheme {scheme} becomes {found.scheme}, which is not declared.",
                    "Return the artifact with the scheme that was made, as `describe` spells it.",
                )

    def test_an_unknown_scheme_is_refused(self, host: PluginHost, format: str, wanted: str, tmp_path: Path) -> None:
        """`quantize` itself refuses a scheme that is not declared, by its name, before any work."""
        name = "q17_no_such"
        try:
            _quantize_past_core(self, host, format, name, tmp_path / "out" / "model")
        except PajamasError as error:
            require(
                name in str(error),
                f"The error does not name {name}: {error}",
                "Name the scheme, and those that there are.",
            )
        except Exception as error:  # whatever it is, it is not the error for this
            require(
                False, f"It raises {type(error).__name__}: {error}", "Raise UsageError, naming the schemes there are."
            )
        else:
            require(False, "It goes on.", "Raise UsageError for a scheme that is not yours, naming those there are.")
        left = [path for path in tmp_path.rglob("*") if path.is_file()]
        require(not left, f"It leaves {', '.join(path.name for path in left)}.", "Check the scheme first.")


def _convert(cls: Group, host: PluginHost, format: str, scheme: str, folder: Path, **options: Any) -> ConvertResult:
    from pajamas.core import run

    return run(
        "convert",
        model=cls.model,
        output=folder,
        formats=[format],
        precision=scheme,
        backend=cls.backend,
        host=host,
        **options,
    )


def _quantize_past_core(cls: Group, host: PluginHost, format: str, scheme: str, target: Path) -> None:
    """The hook with a job as core would make it, but for core's own checks of target and scheme."""
    from pajamas import hub
    from pajamas.modelfiles import LocalFiles
    from pajamas.operations.detecting import detect
    from pajamas.operations.resolving import model_name, resolve_whole
    from pajamas.types import QuantizeJob

    source = resolve_whole(host, cls.model)
    source, path = hub.download(source)
    files = LocalFiles(path)
    job = QuantizeJob(
        files=files,
        source=source,
        architecture=detect(host, files),
        format=format,
        scheme=scheme,
        output=target,
        name=model_name(host, cls.model, source),
    )
    host.backend(cls.backend).quantize(job)


def _killed_after(cls: Group, format: str, scheme: str, folder: Path, seconds: float) -> float | None:
    """Run a conversion in a process of its own, and kill all of it `seconds` after it has begun.

    Returns how long it took, or None if it ended by itself with an error.
    """
    command = [sys.executable, "-P", "-c", _CONVERT, cls.model, str(folder), format, scheme, cls.backend]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, **same_path()},
        start_new_session=True,
    ) as child:  # fmt: skip
        assert child.stdout is not None
        child.stdout.readline()
        began = time.monotonic()
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        return time.monotonic() - began if child.returncode in (0, -signal.SIGKILL) else None


def _size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    from pajamas.modelfiles import LocalFiles

    return path.stat().st_size if path.is_file() else sum(LocalFiles(path).sizes().values())


def _weights(path: Path) -> tuple[int, int]:
    """The least and the most that are weights: a file is; of a folder that core does not know, the largest file is."""
    from pajamas.hub_files import WEIGHT_SUFFIXES
    from pajamas.modelfiles import LocalFiles

    if path.is_file():
        return path.stat().st_size, path.stat().st_size
    sizes = LocalFiles(path).sizes()
    known = sum(size for name, size in sizes.items() if name.endswith(WEIGHT_SUFFIXES))
    return (known, known) if known else (max(sizes.values(), default=0), sum(sizes.values()))
