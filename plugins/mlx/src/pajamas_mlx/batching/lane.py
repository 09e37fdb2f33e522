"""The sequences of a session, and the jobs that are computed in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pajamas.errors import EngineError
from pajamas_mlx.session.sequence import Sequence, common_length

if TYPE_CHECKING:
    from collections.abc import Callable

    from pajamas_mlx.batching.group import Group
    from pajamas_mlx.batching.job import Job

BESIDE_ANSWERS = 128
"""Tokens of a prompt in a step that answers wait for: more of them would hold these up for too long."""
_RESERVE = 64
"""Tokens for which each job should find room when another is let in."""
_WORTH_WAITING = 32
"""Tokens of a common beginning for which a job waits until another has computed them."""


class Lane:
    """Jobs come in with `admit`, go on by `step`, and leave with `release`, in one thread at a time.

    Exact jobs are computed one by one, the others together once their prompts are; a prompt is computed alone, in
    pieces, one piece a step. Idle sequences keep their tokens, for prompts that begin with the same, until their place
    or their memory is needed: those that were used longest ago go first.

    :param make: a new, empty sequence.
    :param places: jobs at once, and sequences that are kept.
    :param room: tokens of all sequences together. A job that is alone may have more.
    :param group: None for a model whose answers mlx-lm cannot compute together: they take turns, token by token.
    """

    def __init__(self, make: Callable[[], Sequence], *, places: int, room: int, group: Group | None) -> None:
        self.jobs: list[Job] = []
        """In the order in which they came in."""
        self.put_back: list[Job] = []
        """Jobs that have lost their place and must be admitted again."""
        self.last: Sequence | None = None
        """The sequence that was given or left last."""
        self._room = room
        self._group = group
        self._make = make
        self._idle = [make() for _ in range(places)]
        self._turn = 0

    def admit(self, job: Job) -> bool:
        """Give the job a sequence, which begins with what is known of its tokens; False if there is no room yet.

        Raises:
            EngineError: the engine failed to copy what is known.
        """
        needed = len(job.tokens) + sum(min(other.left, _RESERVE) for other in (*self.jobs, job))
        if not self._idle or (self.jobs and self._busy() + needed > self._room):
            return False
        source, known = self._source(job)
        target = self._target(source, known)
        if source is not None and source is not target:
            self._copy(source, target)
        target.cut(known)
        self._idle.remove(target)
        self._forget_idle(needed)
        job.begin(target)
        self.jobs.append(job)
        self.last = target
        return True

    def computes_beginning_of(self, job: Job) -> bool:
        """Whether much more of the job's beginning than is known now is just being computed for another."""
        if not job.reuse or job.exact:
            return False
        known = self._source(job)[1]
        for other in self.jobs:
            if other.sequence is None or other.paused or other.cancelled or other.number is not None:
                continue
            common = min(common_length(other.tokens[: other.prompt_size], job.tokens), len(job.tokens) - 1)
            trimmable = all(part.is_trimmable() for part in other.sequence.cache)
            if trimmable and common - known >= _WORTH_WAITING and len(other.sequence.tokens) < common:
                return True
        return False

    def step(self) -> bool:
        """Compute something of each job that is not paused, but a piece of one prompt only; False if there is none."""
        while self._busy() > self._room and len(self.jobs) > 1:
            self._take_place(self.jobs[-1], clear=True)
        self._forget_idle(0)
        self._regroup()
        grouped = bool(self._group and self._group.jobs)
        if self._group and grouped:
            self._step_group(self._group)
        alone = [job for job in self.jobs if job.number is None and not job.paused and not job.ended]
        ready = [job for job in alone if len(job.pending()) == 1]
        for job in ready:
            self._step_alone(job)
        prompts = [job for job in alone if job not in ready]
        if prompts:
            # Each in its turn: a short prompt is not kept waiting by long ones.
            self._turn += 1
            self._step_prompt(prompts[self._turn % len(prompts)], hurry=grouped or bool(ready))
        return grouped or bool(alone)

    def release(self, job: Job) -> None:
        """The job has ended: its sequence stays, as a beginning for others."""
        self._leave_group(job)
        self.jobs.remove(job)
        sequence, job.sequence = job.sequence, None
        if sequence is not None:
            self._idle.append(sequence)
            self.last = sequence

    def take_paused_place(self) -> bool:
        """Put a job back whose reader does not come, the one that came first; False if there is none."""
        job = next((job for job in self.jobs if job.paused), None)
        if job is not None:
            self._take_place(job)
        return job is not None

    def vacant(self) -> Sequence:
        """An empty sequence, which counts as used now.

        Raises:
            EngineError: requests that are being answered need them all.
        """
        if not self._idle:
            raise EngineError("There is no room for another prompt.", "Answers are being computed.", "Wait for them.")
        sequence = next((idle for idle in self._idle if not idle.tokens), self._idle[0])
        sequence.clear()
        self._idle.remove(sequence)
        self._idle.append(sequence)
        self.last = sequence
        return sequence

    def computed_last(self) -> Sequence | None:
        """The sequence that was given or left last, with its cache (which may be a copy); None if there was none."""
        job = next((job for job in self.jobs if job.sequence is self.last), None)
        if self.last is None or job is None or job.number is None or self._group is None:
            return self.last
        found = self._make()
        found.restored(list(self.last.tokens), self._group.cache_of(job))
        return found

    def close(self) -> None:
        """Forget everything: nothing here holds on to the model any more."""
        if self._group is not None:
            self._group.forget()
        for sequence in self._idle:
            sequence.clear()

    def _busy(self) -> int:
        return sum(len(job.tokens) for job in self.jobs)

    def _source(self, job: Job) -> tuple[Sequence | None, int]:
        """The sequence with the longest usable beginning, and its length; an idle one rather than a busy one."""
        best, longest = None, 0
        if job.reuse:
            tokens = job.tokens[: job.prompt_size] if job.exact else job.tokens
            for sequence in (*reversed(self._idle), *(other.sequence for other in self.jobs)):
                common = sequence.common(tokens, exact=job.exact) if sequence is not None else 0
                if common > longest:
                    best, longest = sequence, common
        return best, longest

    def _target(self, source: Sequence | None, known: int) -> Sequence:
        """The idle sequence that the job gets: the source where little of it is lost, else an empty or old one."""
        if source is not None and source in self._idle and (known == len(source.tokens) or len(self._idle) == 1):
            return source
        others = [sequence for sequence in self._idle if sequence is not source]
        return next((sequence for sequence in others if not sequence.tokens), others[0])

    def _copy(self, source: Sequence, target: Sequence) -> None:
        owner = next((job for job in self.jobs if job.sequence is source), None)
        grouped = owner is not None and owner.number is not None and self._group is not None
        target.take(source, self._group.cache_of(owner) if grouped else None)  # type: ignore[union-attr, arg-type]

    def _forget_idle(self, needed: int) -> None:
        """Clear idle sequences, the oldest first, until the tokens of all and those that are needed have room."""
        kept = self._busy() + needed + sum(len(sequence.tokens) for sequence in self._idle)
        for sequence in self._idle:
            if kept <= self._room:
                break
            kept -= len(sequence.tokens)
            sequence.clear()

    def _regroup(self) -> None:
        """Two answers and more are computed together."""
        group = self._group
        if group is None:
            return
        for job in [job for job in group.jobs if job.paused]:
            self._leave_group(job)
        fit = [
            job
            for job in self.jobs
            if job.number is None and not (job.exact or job.paused or job.ended) and job.uncomputed == 1
        ]
        if len(fit) + len(group.jobs) > 1:
            for job in fit:
                self._guarded(group, lambda job=job: group.add(job))  # type: ignore[misc]  # mypy infers no default

    def _leave_group(self, job: Job) -> None:
        if self._group is not None and job in self._group.jobs:
            self._guarded(self._group, lambda: self._group.take_out(job) if self._group else None)

    def _step_group(self, group: Group) -> None:
        self._guarded(group, group.step)

    @staticmethod
    def _guarded(group: Group, work: Callable[[], None]) -> None:
        """What the group's engine fails of, all who are in it have failed of; Ctrl-C they survive."""
        try:
            work()
        except BaseException as error:
            for job in group.forget():
                if isinstance(error, Exception) and not job.ended:
                    job.fail(error)
            if not isinstance(error, Exception):
                raise

    @staticmethod
    def _step_alone(job: Job) -> None:
        sequence = job.sequence
        assert sequence is not None
        known = job.uncomputed > 1
        try:
            logits = sequence.logits(job.pending()[0])
            if not known:
                job.choose(logits)
        except Exception as error:  # the job's reader gets it, who may be in another thread
            job.fail(error)

    @staticmethod
    def _step_prompt(job: Job, *, hurry: bool) -> None:
        tokens = job.pending()
        # An exact prompt is cut at the same places in each run, because rounding depends on what is computed together.
        tokens = tokens[:BESIDE_ANSWERS] if hurry and not job.exact else tokens
        assert job.sequence is not None
        try:
            job.sequence.advance(tokens)
        except Exception as error:  # as above
            job.fail(error)

    def _take_place(self, job: Job, *, clear: bool = False) -> None:
        self.release(job)
        if clear:
            self._idle[-1].clear()
        self.put_back.append(job)
