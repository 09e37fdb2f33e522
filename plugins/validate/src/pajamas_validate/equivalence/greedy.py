"""Greedy answers to the same prompts: where they part, and how alike they are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from attrs import frozen

from pajamas.operations.generation import join, stream
from pajamas.plugins import PluginHost
from pajamas.progress import NO_PROGRESS, Progress
from pajamas.types import Feature, GenerateRequest, Sampling, Session
from pajamas_validate.behaviour import first_divergence, similarity

if TYPE_CHECKING:
    from pajamas.model_texts import ModelText

_OWN = (
    "What is 2+2?",
    "Name the capital of France.",
    "Write a haiku about the sea.",
    "Explain in one sentence why the sky is blue.",
    "Translate 'good morning' to German.",
    "Count from one to ten.",
    "Write a Python function that reverses a list.",
    "What comes after Tuesday?",
)
"""For a model that brings no conversations along."""


@frozen(kw_only=True)
class Comparison:
    """The answers of two models to every prompt, in order of the prompts."""

    first: str
    second: str
    similarities: tuple[float, ...]
    """difflib's ratio over token ids: 1 equal, 0 nothing in common."""
    divergences: tuple[int | None, ...]
    """The index of the first token that differs; None for equal answers."""

    @property
    def similarity(self) -> float:
        return sum(self.similarities) / len(self.similarities)

    @property
    def same(self) -> int:
        return self.divergences.count(None)


def user_prompts(model_text: ModelText | None, limit: int) -> tuple[str, ...]:
    """The first user message of each of the model's own conversations, `limit` at most; else a few general prompts."""
    if model_text is None:
        return _OWN[:limit]
    found = []
    with model_text.path.open(encoding="utf-8") as lines:
        for line in lines:
            messages = json.loads(line)["messages"] if line.strip() else ()
            found += [message["content"] for message in messages if message.get("role") == "user"][:1]
            if len(found) == limit:
                break
    return tuple(found) or _OWN[:limit]


def answer(
    session: Session,
    prompts: Sequence[str],
    max_tokens: int,
    *,
    host: PluginHost,
    progress: Progress = NO_PROGRESS,
    title: str = "",
) -> list[tuple[int, ...]]:
    """The token ids of each greedy answer, penalties off whatever the model recommends.

    Raises:
        PajamasError: what generating raises.
    """
    neutral: dict[str, float] = {"temperature": 0.0}
    for feature, name, value in (
        (Feature.REPETITION_PENALTY, "repetition_penalty", 1.0),
        (Feature.PRESENCE_PENALTY, "presence_penalty", 0.0),
        (Feature.FREQUENCY_PENALTY, "frequency_penalty", 0.0),
    ):
        if feature in session.features:
            neutral[name] = value
    answers = []
    with progress.stage(f"Answers of {title}", len(prompts), "prompts") as stage:
        for prompt in prompts:
            request = GenerateRequest(prompt=prompt, max_tokens=max_tokens, sampling=Sampling(**neutral))  # type: ignore[arg-type]  # numbers, all of them
            answers.append(join(stream(session, request, host=host)).token_ids)
            stage.advance(1)
    return answers


def compare(answers: Mapping[str, Sequence[tuple[int, ...]]]) -> list[Comparison]:
    """Every pair of models, by their labels."""
    labels = list(answers)
    pairs = [(one, other) for number, one in enumerate(labels) for other in labels[number + 1 :]]
    return [
        Comparison(
            first=one,
            second=other,
            similarities=tuple(map(similarity, answers[one], answers[other])),
            divergences=tuple(map(first_divergence, answers[one], answers[other])),
        )
        for one, other in pairs
    ]
