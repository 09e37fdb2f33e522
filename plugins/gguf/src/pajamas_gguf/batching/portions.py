"""What of each job is computed in the next step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pajamas_gguf.session.sequence import PIECE

if TYPE_CHECKING:
    from pajamas_gguf.batching.job import Job

BESIDE_ANSWERS = 128
"""Tokens of prompts in a step that answers wait for: more of them would hold these up for too long."""


TILE = 64
"""With so many tokens of a prompt the engine's attention computes tiles, which costs as much as 24 tokens singly
(measured after 1,000 tokens, on a CPU with AVX512)."""
_AS_CHEAP = 24
_LONG = 512


def worth_reusing(common: int, length: int) -> int:
    """How many of `common` known tokens a prompt of `length` tokens should reuse: some less where that is faster."""
    if common >= _LONG and _AS_CHEAP < length - common < TILE:
        return length - TILE
    return common


def portions(jobs: list[Job], batch_size: int, capacity: int) -> list[tuple[Job, list[int]]]:
    """Each job's next tokens: the one of an answer, or a piece of a prompt.

    Prompts share a step equally, and what a short one leaves the long ones get: it is not kept waiting by them.

    :param batch_size: tokens of prompts at most.
    :param capacity: tokens in all at most.
    """
    answers: list[tuple[Job, list[int]]] = []
    prompts: list[tuple[int, Job]] = []
    for job in jobs:
        if job.paused or job.ended or job.sequence is None:
            continue
        waiting = len(job.tokens) - len(job.sequence.tokens)
        if waiting == 1 or job.replaying:
            begin = len(job.sequence.tokens)
            answers.append((job, job.tokens[begin : begin + 1]))
        else:
            prompts.append((waiting, job))
    room = min(BESIDE_ANSWERS if answers else PIECE, batch_size, capacity - len(answers))
    parts = answers
    prompts.sort(key=lambda entry: entry[0])
    for number, (waiting, job) in enumerate(prompts):
        count = min(waiting, max(room // (len(prompts) - number), 1), room)
        if job.sequence is None or count < 1:
            break
        begin = len(job.sequence.tokens)
        if job.exact:
            # Cut at the same places in each run, because rounding depends on what is computed together.
            count = min(count, job.prompt_size - begin, PIECE - begin % PIECE)
        elif begin >= _LONG and count > 2 * TILE and 0 < waiting - count < TILE:
            count = waiting - TILE
        parts.append((job, job.tokens[begin : begin + count]))
        room -= count
    return parts
