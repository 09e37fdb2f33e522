"""Which errors a backend may raise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pajamas.testing.children import ask, ask_each
from pajamas.testing.damaged import hostile_gguf_headers, write_damaged, write_scratched
from pajamas.testing.group import Group, require
from pajamas.worker.protocol import to_json

if TYPE_CHECKING:
    from pajamas.backend import Backend
    from pajamas.types import Artifact


class Errors(Group):
    """Only errors of pajamas' own tree, with what to do about them."""

    def test_damaged_artifacts_are_refused(self, artifact: Artifact, tmp_path: Path) -> None:
        """`load` refuses a damaged artifact with a `PajamasError`: no other exception, no crash, no hang.

        Files that are missing, empty, cut off or of another kind, loaded in a process of their own. One of which only a
        few bytes are overwritten may be loaded.
        """
        scratched = write_scratched(tmp_path / "overwritten", artifact.path)
        cases = write_damaged(tmp_path / "damaged", artifact.path) | scratched
        if artifact.path.is_file():
            for what, data in hostile_gguf_headers().items():
                cases[f"a GGUF file {what}"] = tmp_path / f"{what.replace(' ', '-')}{artifact.path.suffix}"
                cases[f"a GGUF file {what}"].write_bytes(data)
        for what, answer in self._load(artifact, cases):
            require(
                answer["error"] is not None or what in scratched,
                f"`load` takes {what}.",
                "Check the header and the sizes, and raise ModelFileError.",
            )
            require(
                answer["error"] is None or str(answer["what"]).strip(),
                f"Loading {what} raises {answer['error']} without a word.",
                "Give it at least `what`: one line that names the file.",
            )

        require(
            not (tmp_path / "damaged" / "unpickled").exists(),
            "`load` unpickles what it is given.",
            "Never unpickle: a pickle runs what it says. Read weights as safetensors or a format of plain data.",
        )

    def test_describe_names_a_missing_engine(self, registered: Backend) -> None:
        """Where the engine is not installed, `describe` says so, and `fix` is the pip command.

        For an engine with an environment of its own it is the command that makes that. The class's `engine_modules` are
        hidden for it, and with them the distributions that they came in, and the environments.
        """
        self._needs_modules()
        answer = ask("describe_without", backend=registered.name, modules=self.engine_modules)
        require(
            "failed" not in answer,
            f"Without {', '.join(self.engine_modules)} describe fails: {answer.get('failed')}",
            "Look for the engine by `importlib.util.find_spec` or its metadata.",
        )
        require(
            answer["unavailable"],
            f"Without {', '.join(self.engine_modules)} describe says that the backend can run.",
            "Set `unavailable` to the reason, in one line.",
        )
        require(
            _installs(str(answer["fix"])),
            f"Without {', '.join(self.engine_modules)} describe says fix={answer['fix']!r}.",
            f"Name the command: pip install pajamas-{self.backend}",
        )

    def test_load_names_a_missing_engine(self, artifact: Artifact) -> None:
        """Where the engine is not installed, `load` raises `EngineMissing` with the command, as `describe` names it."""
        self._needs_modules()
        answer = ask(
            "load_without",
            backend=self.backend,
            modules=self.engine_modules,
            paths=[str(artifact.path)],
            format=artifact.format,
            options=to_json(self.load_options),
        )
        seen = answer.get("failed") or answer.get("words") or "a session"
        require(
            answer.get("error") == "EngineMissing",
            f"Without {', '.join(self.engine_modules)} `load` gives {seen}.",
            "Import the engine inside `load`, catch ModuleNotFoundError, and raise EngineMissing from it.",
        )
        require(
            _installs(answer["words"]),
            f"Without {', '.join(self.engine_modules)} `load` says {answer['words']!r}.",
            f"Let the error's `fix` name the command: pip install pajamas-{self.backend}",
        )

    def _load(self, artifact: Artifact, cases: dict[str, Path]) -> list[tuple[str, dict[str, Any]]]:
        """What came of loading each case; none ended the process or raised a foreign error."""
        __tracebackhide__ = True
        answers = ask_each(
            "load_each",
            cases.values(),
            backend=self.backend,
            format=artifact.format,
            options=to_json(self.load_options),
        )
        for what, answer in zip(cases, answers, strict=True):
            require(
                "failed" not in answer,
                f"Loading {what} ends the process: {answer.get('failed')}.",
                "Check sizes and offsets in headers before the engine sees them, or try the file in a child process.",
            )
            require(
                answer["error"] is None or answer["own"],
                f"Loading {what} raises {answer.get('words')}.",
                "Raise ModelFileError with what, why and fix; `raise ... from error` keeps the cause.",
            )
        return list(zip(cases, answers, strict=True))

    def _needs_modules(self) -> None:
        if not self.engine_modules:
            pytest.skip("engine_modules is empty: there is no engine to be missing")


def _installs(words: str) -> bool:
    return "pip install" in words or "pajamas env create" in words
