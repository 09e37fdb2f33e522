"""The child process in which the original answers prompts: `python -m pajamas_gguf.imatrix.answer_child`.

Its events, beside those of `process`: `step` (ended: how many answers did with this token), `group` (answers: those to
the next `together` prompts, complete).

The prompts of a group are answered at once: a step then reads the weights once for all of them, which makes it several
times faster. What is computed in one step decides the rounding, so a group is always the same prompts, and its answers
do not depend on what was computed before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen, mutable

from pajamas.errors import UsageError
from pajamas_gguf.imatrix.process import Emit, serve

if TYPE_CHECKING:
    from pajamas_gguf.session.context import Context
    from pajamas_gguf.session.facts import Facts
    from pajamas_gguf.session.model import Model
    from pajamas_gguf.session.sampler import Sampler


@frozen(kw_only=True)
class Task:
    model: str
    prompts: list[str]
    """Rendered: special tokens in them are meant."""
    seeds: list[int]
    """One for each prompt."""
    together: int
    """Prompts of a group."""
    max_tokens: int
    """Of an answer."""
    temperature: float
    top_k: int
    top_p: float
    threads: int
    extra_buffers: bool


@mutable
class _Answer:
    """An answer in the making. `number` is its sequence's, `length` how many tokens that has."""

    number: int
    length: int
    limit: int
    sampler: Sampler
    tokens: list[int]
    done: bool = False


def main() -> None:
    serve(Task, _answer_all)


def _answer_all(task: Task, emit: Emit) -> None:
    from pajamas.types import LoadOptions
    from pajamas_gguf.parameters import resolve
    from pajamas_gguf.session.context import Context
    from pajamas_gguf.session.facts import read_facts
    from pajamas_gguf.session.model import Model

    facts = read_facts(Path(task.model))
    _refuse_encoder(facts)
    trained = facts.trained_context
    weights = resolve(LoadOptions(device="cpu", threads=task.threads), trained, extra_buffers=task.extra_buffers)
    model = Model(facts.parts[0], weights, facts.metadata)
    prompts = [model.prompt_tokens(prompt) for prompt in task.prompts]
    length = max(map(len, prompts)) + task.max_tokens
    options = LoadOptions(
        device="cpu", threads=task.threads, max_sequences=task.together, context_length=min(length, trained or length)
    )
    parameters = resolve(options, trained, extra_buffers=task.extra_buffers)
    # One cache for all: else a step is computed in as many parts as there are gaps between the sequences that go on.
    context = Context(model, parameters, parameters.for_many())
    for begin in range(0, len(prompts), task.together):
        seeds = task.seeds[begin : begin + task.together]
        group = _answer(
            model, context, prompts[begin : begin + task.together], seeds, task, parameters.context_length, emit
        )
        emit("group", answers=list(group))


def _answer(
    model: Model,
    context: Context,
    prompts: Sequence[list[int]],
    seeds: Sequence[int],
    task: Task,
    room: int,
    emit: Emit,
) -> Iterator[str]:
    """The texts of the answers, with the token that ends them; `room` is how long prompt and answer may be."""
    from pajamas.types import Sampling
    from pajamas_gguf.session.sampler import Sampler

    answers = []
    context.clear()
    for number, (prompt, seed) in enumerate(zip(prompts, seeds, strict=True)):
        limit = min(task.max_tokens, room - len(prompt))
        if limit < 1:
            raise UsageError(
                "The model's context is too short to answer a prompt for calibration.",
                f"It has {room:,} tokens, and the prompt {len(prompt):,}.",
                "Give a text to calibrate with: --calibration-text FILE.",
            )
        for place in range(0, len(prompt), context.batch.capacity):
            piece = prompt[place : place + context.batch.capacity]
            context.batch.clear()
            context.batch.add(piece, place, number, outputs=int(place + len(piece) == len(prompt)))
            context.compute_long()
        sampling = Sampling(temperature=task.temperature, top_k=task.top_k, top_p=task.top_p, seed=seed)
        sampler = Sampler(sampling, model.vocabulary_size, prompt=prompt)
        answer = _Answer(number, len(prompt), limit, sampler, [])
        _take(answer, model, context, -1)
        answers.append(answer)
    going = [answer for answer in answers if not answer.done]
    emit("step", ended=len(answers) - len(going))
    while going:
        context.batch.clear()
        for answer in going:
            context.batch.add(answer.tokens[-1:], answer.length, answer.number, outputs=1)
            answer.length += 1
        context.compute()
        for row, answer in enumerate(going):
            _take(answer, model, context, row)
        left = [answer for answer in going if not answer.done]
        emit("step", ended=len(going) - len(left))
        going = left
    for answer in answers:
        # At the limit the last character may be cut.
        yield b"".join(map(model.piece, answer.tokens)).decode("utf-8", "ignore")


def _take(answer: _Answer, model: Model, context: Context, row: int) -> None:
    token = answer.sampler.sample(context.logits(row))
    if token is not None:
        answer.tokens.append(token)
    answer.done = token is None or token in model.end_tokens or len(answer.tokens) == answer.limit


def _refuse_encoder(facts: Facts) -> None:
    """A model that only embeds, or reads with an encoder, does not go on from a prompt."""
    name = facts.metadata.get("general.architecture")
    if facts.metadata.get(f"{name}.attention.causal") is False or name in ("t5", "t5encoder"):
        raise UsageError(
            "This model cannot write the text to calibrate with.",
            f"It is of the architecture {name}, which does not go on from a prompt.",
            "Give a text: --calibration-text FILE.",
        )


if __name__ == "__main__":
    main()
