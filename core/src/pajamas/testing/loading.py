"""From the model to an artifact, and from the artifact to a session."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING

from attrs import evolve

from pajamas.errors import DeviceNotFound, PajamasError
from pajamas.testing.group import DEVICES, Group, require
from pajamas.testing.hook_functions import call, implementations
from pajamas.types import Artifact, GenerateRequest, LoadOptions

if TYPE_CHECKING:
    from pajamas.backend import Backend
    from pajamas.testing.conformance import Made
    from pajamas.types import BackendInfo, Session


class Loading(Group):
    """A model that can be made ready and loaded."""

    def test_the_model_becomes_an_artifact(self, made_artifact: Made) -> None:
        """The class's model can be made into an artifact of the backend.

        A backend with a `quantize` hook makes it, of the class's scheme; for one without, the model itself has one of
        its formats.
        """
        _reraise(made_artifact, "Making the artifact", "Let `pajamas convert` do the same and mend what it says")

    def test_the_artifact_loads(self, made_session: Made) -> None:
        """`load` returns a session for the backend's own artifact."""
        _reraise(made_session, "Loading the artifact", "Return a session for every artifact of your formats")

    def test_foreign_artifacts_are_left_to_others(self, hooks: ModuleType, tmp_path: Path) -> None:
        """`load` and `generate` return None for a format and a session that are not the backend's own."""
        artifact = Artifact(path=tmp_path / "model", format=f"not-{self.backend}")
        session = SimpleNamespace(backend=f"not-{self.backend}")
        request = GenerateRequest(prompt="Hello")
        for hook, arguments in (
            ("load", {"artifact": artifact, "options": LoadOptions()}),
            ("generate", {"session": session, "request": request}),
        ):
            if hook not in implementations(hooks):
                continue
            try:
                answer = call(hooks, hook, **arguments)
            except Exception as error:  # whatever it raises
                answer = f"{type(error).__name__}: {error}"
            require(
                answer is None,
                f"For what is not its own, {hook} gives {answer!r:.200}.",
                "Begin with `if artifact.format not in FORMATS: return None`, "
                "and in `generate` with `if session.backend != NAME: return None`.",
            )

    def test_a_device_that_is_not_here_is_refused(
        self, registered: Backend, info: BackendInfo, artifact: Artifact
    ) -> None:
        """`load` raises `DeviceNotFound` for a device that `describe` does not list, and never falls back."""
        for device in DEVICES:
            if device in info.devices:
                continue
            try:
                session = registered.load(artifact, evolve(self.load_options, device=device))
            except DeviceNotFound:
                continue
            except Exception as error:  # whatever it is, it is not the error for this
                seen = f"raises {type(error).__name__}: {error}"
            else:
                session.close()
                seen = "returns a session"
            require(
                False,
                f"For the device {device}, which is not among {', '.join(info.devices)}, `load` {seen}.",
                "Raise DeviceNotFound, naming the devices that are here.",
            )

    def test_the_session_says_what_it_is(self, session: Session, info: BackendInfo) -> None:
        """A session names its backend, its context and its features, and these are among the declared ones."""
        require(
            session.backend == self.backend,
            f"session.backend is {session.backend!r}, not {self.backend!r}.",
            "Return the entry point's name.",
        )
        require(
            isinstance(session.context_length, int) and session.context_length > 0,
            f"session.context_length is {session.context_length!r}.",
            "Return how many tokens fit, as a number above zero.",
        )
        more = frozenset(session.features) - info.features
        require(
            not more,
            f"The session offers {', '.join(sorted(more))}, which `describe` does not declare.",
            "Declare every feature in `describe`: the dispatcher chooses by it. A session may offer fewer.",
        )


def _reraise(made: Made, what: str, mend: str) -> None:
    __tracebackhide__ = True
    if made.error is None:
        return
    if isinstance(made.error, PajamasError):
        why = " ".join(str(made.error).splitlines())
        require(False, f"{what} fails: {type(made.error).__name__}: {why}", mend + ".")
    raise made.error
