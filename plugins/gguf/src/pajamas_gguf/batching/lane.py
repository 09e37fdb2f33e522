"""A context, its sequences, and the jobs that are computed in them together."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pajamas.errors import EngineError
from pajamas_gguf.batching.cells import Cells
from pajamas_gguf.batching.portions import portions, worth_reusing
from pajamas_gguf.session.context import Context, NoRoom, Stopped
from pajamas_gguf.session.sequence import Sequence, common_length

if TYPE_CHECKING:
    from collections.abc import Sequence as Parts

    from pajamas_gguf.batching.job import Job
    from pajamas_gguf.parameters import Parameters
    from pajamas_gguf.session.model import Model

_RESERVE = 64
"""Cells that each job should find free for its next tokens when another is let in."""
_WORTH_WAITING = 32
"""Tokens of a common beginning for which a job waits until another has computed them."""


class Lane:
    """Jobs come in with `admit`, go on by `step`, and leave with `release`, in one thread at a time.

    Idle sequences keep their tokens, for prompts that begin with the same, until their place or cells are needed:
    those that were used longest ago go first.

    :param exact: it is only for jobs that are to be exact.
    :param batch_size: tokens of prompts that are computed in one step at most.
    """

    def __init__(self, context: Context, model: Model, *, exact: bool, sequences: int, batch_size: int) -> None:
        self.context = context
        self.exact = exact
        self.jobs: list[Job] = []
        """In the order in which they came in."""
        self.computing: Parts[Job] = ()
        """In this moment: a thread that cancels all of them may stop the engine."""
        self.put_back: list[Job] = []
        """Jobs that have lost their place and must be admitted again."""
        self.used = False
        """Whether there has been anything in it."""
        self._batch_size = batch_size
        self._alone = sequences == 1
        self._cells = Cells(context.cells)
        self._idle = [Sequence(context, number, self._cells, model) for number in range(sequences)]

    @property
    def last(self) -> Sequence | None:
        """The sequence with tokens in it that was given or left last."""
        filled = [one for one in (*self._idle, *(job.sequence for job in self.jobs)) if one is not None and one.tokens]
        return max(filled, key=lambda sequence: sequence.used, default=None)

    def admit(self, job: Job) -> bool:
        """Give the job a sequence, which begins with what is known of its tokens; False if there is no room yet."""
        if not self._idle:
            return False
        source, common = self._source(job)
        target = self._target(source, common)
        if not self._clear_for(job, target, source, common):
            # With a source beside it there is no room: what the source has beyond the common tokens must go.
            if target is source or source not in self._idle:
                return False
            target = source
            if not self._clear_for(job, target, source, common):
                return False
        self._idle.remove(target)
        if source is not None and target is not source:
            target.copy(source, common)
        job.begin(target)
        self.jobs.append(job)
        self._touch(target)
        return True

    def computes_beginning_of(self, job: Job) -> bool:
        """Whether much more of the job's beginning than is known now is just being computed for another."""
        if self._alone or not job.reuse:
            return False
        known = self._source(job)[1]
        for other in self.jobs:
            if other.sequence is None or other.paused or other.cancelled:
                continue
            common = min(common_length(other.tokens, job.tokens), len(job.tokens) - 1)
            if common - known >= _WORTH_WAITING and len(other.sequence.tokens) < common:
                return True
        return False

    def step(self) -> bool:
        """Compute something of each job that is not paused; False if there is none."""
        parts = portions(self.jobs, self._batch_size, self.context.batch.capacity)
        while parts and not self._make_room(sum(len(tokens) for _, tokens in parts)) and len(self.jobs) > 1:
            self._take_place(self.jobs[-1])
            parts = [part for part in parts if part[0].sequence is not None]
        if not parts:
            return False
        self._compute(parts)
        return True

    def release(self, job: Job) -> None:
        """The job has ended: its sequence stays, as a beginning for others, unless the job wants nothing reused."""
        self.jobs.remove(job)
        sequence, job.sequence = job.sequence, None
        if sequence is not None:
            if not job.reuse:  # cells that are taken slow down the attention of all, if ever so little
                sequence.clear()
            self._idle.append(sequence)
            self._touch(sequence)

    def take_paused_place(self) -> bool:
        """Put a job back whose reader does not come, the one that came first; False if there is none."""
        job = next((job for job in self.jobs if job.paused), None)
        if job is not None:
            self._take_place(job, clear=False)
        return job is not None

    def close(self) -> None:
        """Free the context."""
        self.context.close()

    def vacant(self, count: int) -> Sequence:
        """An empty sequence, which counts as used now, and free cells for so many tokens.

        Raises:
            EngineError: requests that are being answered need the room.
        """
        if self._idle:
            sequence = next((idle for idle in self._idle if not idle.tokens), self._idle[0])
            sequence.clear()
            if self._make_room(count, (sequence,)):
                self._idle.remove(sequence)
                self._idle.append(sequence)
                self._touch(sequence)
                return sequence
        raise EngineError("There is no room for another prompt.", "Answers are being computed.", "Wait until they end.")

    def _touch(self, sequence: Sequence) -> None:
        self.used = True
        sequence.used = time.monotonic()

    def _source(self, job: Job) -> tuple[Sequence | None, int]:
        """The sequence with the longest usable beginning, and its length; an idle one rather than a busy one."""
        best, longest = None, 0
        if job.reuse:
            exact = job.exact and self._alone
            tokens = job.tokens[: job.prompt_size] if exact else job.tokens
            for sequence in (*reversed(self._idle), *(other.sequence for other in self.jobs)):
                common = sequence.common(tokens, exact=exact) if sequence is not None else 0
                if common > longest:
                    best, longest = sequence, common
        if best is not None and not best.whole and not job.exact:
            longest = worth_reusing(longest, len(job.tokens))
        return best, longest

    def _target(self, source: Sequence | None, common: int) -> Sequence:
        """The idle sequence that the job gets: the source where nothing of it is lost, else an empty or old one."""
        if source in self._idle and source is not None and (common == len(source.tokens) or len(self._idle) == 1):
            return source
        others = [sequence for sequence in self._idle if sequence is not source]
        return next((sequence for sequence in others if not sequence.tokens), others[0])

    def _clear_for(self, job: Job, target: Sequence, source: Sequence | None, common: int) -> bool:
        """Empty the target but for the common tokens, and make room for the job's others; whether there is."""
        known = target.cut(common if target is source else 0)
        needed = len(job.tokens) - (known if target is source else common)
        if self.jobs:
            needed += sum(min(other.left, _RESERVE) for other in (*self.jobs, job))
        return self._make_room(needed, (source, target))

    def _make_room(self, count: int, kept: Parts[Sequence | None] = ()) -> bool:
        """Forget idle sequences, but not those of `kept`, until so many cells are free; whether they are."""
        for sequence in self._idle:
            if self._cells.free >= count:
                break
            if sequence.tokens and sequence not in kept:
                sequence.clear()
        return self._cells.free >= count

    def _take_place(self, job: Job, *, clear: bool = True) -> None:
        sequence = job.sequence
        self.release(job)
        self.put_back.append(job)
        if clear and sequence is not None:
            sequence.clear()

    def _compute(self, parts: list[tuple[Job, list[int]]]) -> None:
        batch = self.context.batch
        batch.clear()
        rows: list[tuple[Job, int]] = []
        for job, tokens in parts:
            sequence = job.sequence
            assert sequence is not None  # jobs of this lane have one
            position = len(sequence.tokens)
            complete = position + len(tokens) == len(job.tokens)
            batch.add(tokens, position, sequence.number, outputs=int(complete))
            if complete:
                rows.append((job, batch.size - 1))
        self.computing = [job for job, _ in parts]
        try:
            if batch.size > len(parts):
                self.context.compute_long()
            else:
                self.context.compute()
        except EngineError as error:
            for job in self.computing:
                if job.sequence is not None:
                    job.sequence.undo()
            self._recover(parts, error)
            return
        finally:
            self.computing = ()
        for job, tokens in parts:
            if job.sequence is not None:
                job.sequence.grow(tokens)
        for job, row in rows:
            try:
                job.choose(self.context.logits(row))
            except Exception as error:  # told to the job's own reader, who may be another thread's
                job.fail(error)

    def _recover(self, parts: list[tuple[Job, list[int]]], error: EngineError) -> None:
        """Nothing of the parts was computed. What one job is to blame for, others must not suffer from."""
        if isinstance(error, Stopped):
            return
        if isinstance(error, NoRoom) and (idle := next((one for one in self._idle if one.tokens), None)):
            idle.clear()
        elif isinstance(error, NoRoom) and len(self.jobs) > 1:
            self._take_place(self.jobs[-1])
        elif len(parts) == 1:
            parts[0][0].fail(error)
        else:
            for part in parts:
                self._compute([part])


def make_lane(model: Model, parameters: Parameters, *, exact: bool) -> Lane:
    """A lane for all sequences, or for one: with nothing beside it, what it computes depends on nothing else.

    Raises:
        EngineError: there is too little memory.
    """
    sequences = 1 if exact else parameters.sequences
    params = parameters.for_one(1) if exact else parameters.for_many()
    context = Context(model, parameters, params)
    return Lane(context, model, exact=exact, sequences=sequences, batch_size=parameters.batch_size)
