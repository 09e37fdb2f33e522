"""From the model to an artifact, and from the artifact to a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pajamas.errors import PajamasError
from pajamas.testing.group import Group, require

if TYPE_CHECKING:
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
