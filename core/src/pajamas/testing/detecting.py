"""What a backend may make of files that are not its own, or are damaged."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pajamas.testing.children import ask_each
from pajamas.testing.damaged import write_damaged, write_foreign
from pajamas.testing.far_files import HEADERS
from pajamas.testing.group import Group, require
from pajamas.testing.hook_functions import implementations

if TYPE_CHECKING:
    from pajamas.backend import Backend
    from pajamas.types import Artifact

WEIGHTS = 512 << 20
"""Bytes of zeros that seem to lie behind the end of the largest file."""


class Detecting(Group):
    """Foreign and damaged files.

    A backend without a `detect_architecture` hook passes by definition: core reads its format. The others are asked in
    a process of their own.
    """

    def test_foreign_files_are_none(self, hooks: ModuleType, registered: Backend, tmp_path: Path) -> None:
        """`detect_architecture` returns None for files of others, and never raises.

        It is asked about whatever a person names: empty files, random bytes, hostile GGUF headers, a config.json that
        is no JSON or a list or nested without end, folders with strange names.
        """
        if "detect_architecture" not in implementations(hooks):
            return
        for what, answer in self._detect(registered, write_foreign(tmp_path)):
            self._require_none(what, answer)
        require(not (tmp_path / "unpickled").exists(), "A pickle was loaded.", "Never unpickle: it runs what it says.")

    def test_damaged_artifacts_are_none(
        self, hooks: ModuleType, registered: Backend, artifact: Artifact, tmp_path: Path
    ) -> None:
        """`detect_architecture` returns None for its own format when the files are damaged, and never raises.

        Where the header is whole and only the weights are cut off, it may tell what the model was.
        """
        if "detect_architecture" not in implementations(hooks):
            return
        damaged = write_damaged(tmp_path / "damaged", artifact.path)
        for what, answer in self._detect(registered, {what: path for what, path in damaged.items() if path.exists()}):
            if "weights" not in what and "halfway" not in what:
                self._require_none(what, answer)

    def test_own_artifact_is_detected(self, hooks: ModuleType, registered: Backend, artifact: Artifact) -> None:
        """`detect_architecture` returns an `Architecture` for the backend's own artifact.

        A hook that knows nothing is not needed: leave it out where core reads the format.
        """
        if "detect_architecture" not in implementations(hooks):
            return
        for _, answer in self._detect(registered, {"its own artifact": artifact.path}):
            require(
                answer["type"] == "Architecture",
                f"For {artifact.path.name}, detect_architecture returns {answer['answer']}.",
                "Return a pajamas.types.Architecture from what the files state, or leave the hook out.",
            )

    def test_detecting_reads_headers_only(self, hooks: ModuleType, registered: Backend, artifact: Artifact) -> None:
        """`detect_architecture` reads headers, never weights: the files may be far away and large.

        It is given the class's own artifact as if it lay on the Hub, with weights that go on for half a gigabyte.
        """
        if "detect_architecture" not in implementations(hooks):
            return
        for _, answer in self._detect(registered, {"its own artifact": artifact.path}, WEIGHTS):
            require(
                answer["served"] <= HEADERS,
                f"detect_architecture asks for {answer['served']:,} bytes of {artifact.path.name}.",
                "Read with `files.read(name, offset, length)` and small lengths; sizes are in `files.sizes()`.",
            )

    def _detect(self, registered: Backend, cases: dict[str, Path], behind: int = 0) -> list[tuple[str, dict[str, Any]]]:
        __tracebackhide__ = True
        answers = ask_each("detect_each", cases.values(), backend=registered.name, behind=behind)
        for what, answer in zip(cases, answers, strict=True):
            require(
                "failed" not in answer,
                f"For {what}, detect_architecture fails: {answer.get('failed')}.",
                "Return None for files that you cannot read, damaged ones too.",
            )
        return list(zip(cases, answers, strict=True))

    def _require_none(self, what: str, answer: dict[str, Any]) -> None:
        __tracebackhide__ = True
        require(
            answer["answer"] is None,
            f"detect_architecture takes {what} for {answer['answer']}.",
            "Return None unless the files state what the model is.",
        )
