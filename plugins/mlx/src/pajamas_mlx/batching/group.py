"""Answers whose next tokens are computed together, by mlx-lm's batch generator."""

from __future__ import annotations

import importlib
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from pajamas_mlx import engine

if TYPE_CHECKING:
    from pajamas_mlx.batching.job import Job
    from pajamas_mlx.session.model import Model

_ENDLESS = 1 << 40


class Group:
    """Jobs come in with `add`, when all but their last token is computed, and leave with `take_out` or `forget`.

    The generator gets caches that are filled, and is stopped by taking a job out. Each job chooses its token itself,
    from its own row of logits as the model computes them: the generator's log-probabilities have the model's 16 bits,
    and mlx-lm's samplers one random state for all.

    :param places: jobs that it can hold.
    """

    def __init__(self, model: Model, device: str, places: int) -> None:
        self.jobs: list[Job] = []
        self._model = model
        self._device = device
        self._places = places

    def add(self, job: Job) -> None:
        """Take a job in; its sequence's cache moves into the group's."""
        sequence = job.sequence
        assert sequence is not None
        row = _Row(job)
        known, last, cache = list(sequence.tokens), job.tokens[-1], sequence.lend()

        def insert() -> int:
            (number,) = self._generator.insert(
                [[last]], caches=[cache], all_tokens=[known], samplers=[row.choose], logits_processors=[[row.keep]]
            )
            return int(number)

        self.jobs.append(job)  # first: `forget` must know of it, whatever happens
        job.number = self._compute(insert)

    def step(self) -> None:
        """Compute the last token of each job, and let each choose its next. A job whose choice fails has failed.

        Raises:
            EngineError: the engine failed: what it has stored is not known, see `forget`.
        """
        self._compute(self._generator.next)
        for job in self.jobs:
            assert job.sequence is not None
            # The generator has computed what was the last token before this step.
            job.sequence.tokens.append(job.tokens[len(job.sequence.tokens)])

    def take_out(self, job: Job) -> None:
        """The job's cache moves back into its sequence."""
        number, sequence = job.number, job.sequence
        assert sequence is not None
        caches = self._compute(lambda: self._generator.remove([number], return_prompt_caches=True))
        sequence.restored(sequence.tokens, caches[number][0], lent=True)
        self.jobs.remove(job)
        job.number = None

    def cache_of(self, job: Job) -> list[Any]:
        """A copy of the job's cache, as one of a single sequence."""
        found: list[Any] = self._compute(lambda: self._generator.extract_cache([job.number]))[job.number][0]
        return found

    def forget(self) -> list[Job]:
        """Empty the group without asking the engine: the jobs that were there, whose sequences are empty now. They can
        be computed again from their tokens.
        """
        jobs, self.jobs = self.jobs, []
        for job in jobs:
            job.number = None
            if job.sequence is not None:
                job.sequence.clear()
        self.__dict__.pop("_generator", None)
        return jobs

    @cached_property
    def _generator(self) -> Any:
        """To be asked for by the engine's thread: the stream is that thread's."""
        mx = engine.engine().mx
        made = importlib.import_module("mlx_lm.generate").BatchGenerator(
            self._model.network,
            max_tokens=_ENDLESS,
            completion_batch_size=self._places,
            prefill_batch_size=self._places,
            stream=mx.default_stream(mx.gpu if self._device == "metal" else mx.cpu),
        )
        made.close()  # it has raised Metal's limit of wired memory, which is the process's, and puts it back
        return made

    def _compute(self, work: Any) -> Any:
        return engine.compute(self._device, work, whole=True)


class _Row:
    """A job as the generator sees it: a logits processor that keeps the row, and a sampler that asks the job."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._row: Any = None

    def keep(self, _tokens: Any, logits: Any) -> Any:
        self._row = logits
        return logits

    def choose(self, _logprobs: Any) -> Any:
        """The next token's id, [1]; 0 where there is none, because the job is taken out before that is computed."""
        mx, job = engine.engine().mx, self._job
        row, self._row = np.array(self._row[0].astype(mx.float32)), None
        before = len(job.tokens)
        try:
            job.choose(row)
        except Exception as error:  # of this job, not of those that are computed with it
            job.fail(error)
        return mx.array([job.tokens[-1] if len(job.tokens) > before else 0], dtype=mx.uint32)
