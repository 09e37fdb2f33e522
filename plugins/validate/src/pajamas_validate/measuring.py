"""The run over all windows, with progress."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pajamas.errors import UnsupportedFeature, UsageError
from pajamas.progress import NO_PROGRESS, Progress, Stage
from pajamas.types import Feature
from pajamas_validate.divergence import Divergence
from pajamas_validate.judges import Judges
from pajamas_validate.resuming import State
from pajamas_validate.sampled import score_by_reference
from pajamas_validate.scores import Scores, WindowScores
from pajamas_validate.scoring import Begun, score_alone, score_pair

if TYPE_CHECKING:
    from pajamas.session import Session
    from pajamas_validate.reference import Writer
    from pajamas_validate.reference_file import Reference
    from pajamas_validate.windows import Windows


def measure(
    candidate: Session,
    original: Session | None,
    windows: Windows,
    *,
    reference: Reference | None = None,
    writer: Writer | None = None,
    state: State | None = None,
    done: Sequence[WindowScores] = (),
    progress: Progress = NO_PROGRESS,
) -> Scores:
    """Score every window with the candidate, or with both in lock step, or against a reference.

    Args:
        reference: stands for the original, and brings the windows.
        writer: is told what the original says, or without one the candidate.
        state: where an interrupted run of the same has left what it measured, and where this one would.
        done: the first windows, which `score_windows` has measured before.

    Raises:
        UnsupportedFeature: a backend cannot score.
        UsageError: a session's context is shorter than a window.
        EngineError: an engine fails, or computes no numbers.
    """
    state = state or State(None, "")
    kept = state.load(windows.count)
    with progress.stage("Scoring", windows.count - len(kept), "windows") as stage:
        if len(done) > len(kept):
            stage.advance(len(done) - len(kept))
            kept = list(done)
        found = score_windows(
            candidate, original, windows, done=kept, reference=reference, writer=writer, state=state, stage=stage
        )
    return Scores.of(found)


def score_windows(
    candidate: Session,
    original: Session | None,
    windows: Windows,
    *,
    done: Sequence[WindowScores] = (),
    reference: Reference | None = None,
    writer: Writer | None = None,
    state: State | None = None,
    stage: Stage | None = None,
    is_enough: Callable[[], bool] = lambda: False,
) -> list[WindowScores]:
    """Those that are `done`, and the windows after them up to the last or until it is enough; as `measure` else."""
    for session in (candidate, original):
        if session is not None:
            _check(session, windows)
    done, state = list(done), state or State(None, "")
    records = reference.records(len(done)) if reference is not None else None
    divergence = Divergence()

    def begin(number: int) -> Begun:
        if original is not None:
            return score_pair(original, candidate, windows, number, judges, divergence, writer)
        if records is not None:
            return score_by_reference(candidate, next(records), windows, number)
        return score_alone(candidate, windows, number, writer)

    begun: tuple[int, Begun] | None = None
    try:
        with Judges() as judges:
            # One window behind: its last rows are judged while the engines compute the next one.
            for number in (*range(len(done), windows.count), None):
                following = None if number is None or is_enough() else (number, begin(number))
                if begun is not None:
                    done.append(begun[1].result())
                    if stage is not None:
                        stage.advance(1)
                    state.save(done)
                if following is None:
                    break
                begun = following
    except BaseException:
        is_next = begun is not None and begun[0] == len(done) and begun[1].is_whole
        state.save([*done, begun[1].scores] if begun is not None and is_next else done, now=True)
        raise
    state.save(done, now=True)  # kept until the whole validation is done
    return done


def _check(session: Session, windows: Windows) -> None:
    if Feature.SCORE not in session.features:
        raise UnsupportedFeature(
            f"The backend {session.backend!r} cannot score text.",
            "Perplexity and divergence need the log-probabilities of given tokens.",
            "Use a backend that declares the feature `score`: see `pajamas plugins`.",
        )
    if session.context_length < windows.context:
        raise UsageError(
            f"A window of {windows.context:,} tokens does not fit the context of {session.context_length:,}.",
            "The model was loaded with a shorter context.",
            "Load it with a context of at least a window, or measure with shorter windows.",
        )
