"""Errors that only a server has; they are `PajamasError`s, so that one place turns them all into HTTP."""

from __future__ import annotations

from pajamas.errors import ContextOverflow, EngineCrashed, PajamasError, UsageError


class Unavailable(PajamasError):
    """Not now: the queue is full, the model's breaker is open, the server stops.

    Args:
        retry_after: seconds until it is worth asking again.
    """

    def __init__(self, what: str, why: str = "", fix: str = "", retry_after: float = 1.0) -> None:
        super().__init__(what, why, fix)
        self.retry_after = retry_after


class TimedOut(PajamasError):
    """The answer took longer than the server allows."""


class UnknownModel(PajamasError):
    """The server does not offer that model."""


class BadParameter(UsageError):
    """A request's parameter is unknown, unsupported or makes no sense.

    Args:
        parameter: its name, as the request spells it: "messages[0].role".
    """

    def __init__(
        self, parameter: str | None, what: str, why: str = "", fix: str = "", code: str = "invalid_value"
    ) -> None:
        super().__init__(what, why, fix)
        self.parameter = parameter
        self.code = code


class PromptTooLong(ContextOverflow):
    """A prompt that does not fit the context.

    Args:
        parameter: that holds it.
        tokens: of the prompt.
        context: tokens of prompt and answer together.
    """

    def __init__(self, parameter: str, what: str, why: str = "", fix: str = "", *, tokens: int, context: int) -> None:
        super().__init__(what, why, fix)
        self.parameter = parameter
        self.tokens = tokens
        self.context = context


class Stalled(EngineCrashed):
    """A worker computed and gave no token for too long."""


def copied(error: PajamasError) -> PajamasError:
    """The same error once more: a traceback belongs to one task, so each that is told gets an instance of its own."""
    copy = type(error)(error.what, error.why, error.fix)
    copy.__dict__.update({name: value for name, value in vars(error).items() if name != "__notes__"})
    return copy


def stopping() -> Unavailable:
    """What all are told who ask a server that ends."""
    return Unavailable("The server is stopping.", retry_after=5.0)
