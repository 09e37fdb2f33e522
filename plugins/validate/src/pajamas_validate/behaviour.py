"""The same prompts, greedy, for original and candidate side by side: where they part, and what goes wrong."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from attrs import evolve, frozen

from pajamas.errors import ContextOverflow, TemplateError, UnsupportedFeature, UsageError
from pajamas.needs import needed_features
from pajamas.plugins import PluginHost
from pajamas.progress import NO_PROGRESS, Progress
from pajamas.types import GenerateRequest, Sampling, Session
from pajamas_validate.checks import faults
from pajamas_validate.suite import Case, Suite


@frozen(kw_only=True)
class Answer:
    """What one model said, and what is wrong with it."""

    text: str
    reasoning: str = ""
    tool_calls: tuple[str, ...] = ()
    """Each as `name(arguments)`."""
    token_ids: tuple[int, ...] = ()
    finish_reason: str | None = None
    faults: tuple[str, ...] = ()


@frozen(kw_only=True)
class Sample:
    """One case: both answers, and how alike they are."""

    id: str
    prompt: str
    mode: str | None
    quantized: Answer | None
    baseline: Answer | None = None
    match: bool | None = None
    """Whether both answers have the same tokens; None without an original."""
    first_divergence: int | None = None
    """Index of the first token that differs."""
    similarity: float | None = None
    """difflib's ratio over token ids: 1 equal, 0 nothing in common."""
    not_run: str | None = None
    """Why the case could not be run."""

    @property
    def regressions(self) -> tuple[str, ...]:
        """The candidate's faults that the original does not have."""
        known = set(self.baseline.faults) if self.baseline else set()
        return tuple(fault for fault in self.quantized.faults if fault not in known) if self.quantized else ()


@frozen(kw_only=True)
class Behaviour:
    """A whole suite's outcome."""

    suite: str
    samples: tuple[Sample, ...]
    compared: bool = False
    """Whether there was an original to compare with."""

    @property
    def ran(self) -> tuple[Sample, ...]:
        return tuple(sample for sample in self.samples if sample.quantized is not None)

    @property
    def matches(self) -> int:
        return sum(bool(sample.match) for sample in self.samples)

    @property
    def similarity(self) -> float | None:
        known = [sample.similarity for sample in self.samples if sample.similarity is not None]
        return sum(known) / len(known) if known else None

    @property
    def good(self) -> int:
        """Answers of the candidate without a fault."""
        return sum(not sample.quantized.faults for sample in self.samples if sample.quantized)

    @property
    def regressions(self) -> tuple[str, ...]:
        return tuple(f"{sample.id}: {fault}" for sample in self.samples for fault in sample.regressions)


def run_suite(
    candidate: Session,
    original: Session | None,
    suite: Suite,
    *,
    host: PluginHost | None = None,
    progress: Progress = NO_PROGRESS,
) -> Behaviour:
    """Ask both models everything, greedily.

    A case that a session cannot honour is not run, and says why.

    Raises:
        EngineError: an engine fails.
    """
    host = host or PluginHost()
    samples = []
    with progress.stage("Answering prompts", len(suite.cases), "prompts") as stage:
        for case in suite.cases:
            samples.append(_run(case, candidate, original, suite.languages, host))
            stage.advance(1, case.id)
    return Behaviour(suite=suite.name, samples=tuple(samples), compared=original is not None)


def request_of(case: Case) -> GenerateRequest:
    """Greedy; a case without a mode takes the model's own."""
    messages: list[dict[str, str]] = [{"role": "system", "content": case.system}] if case.system else []
    return GenerateRequest(
        messages=(*messages, {"role": "user", "content": case.prompt}),
        mode=case.mode,  # type: ignore[arg-type]  # the suite's reader has checked it
        tools=case.tools,
        json_schema=case.json_schema,
        max_tokens=case.max_tokens,
        sampling=Sampling(temperature=0.0),
    )


def _run(
    case: Case, candidate: Session, original: Session | None, languages: Sequence[str], host: PluginHost
) -> Sample:
    sample = Sample(id=case.id, prompt=case.prompt, mode=case.mode, quantized=None)
    try:
        answers = [_answer(case, session, languages, host) for session in (candidate, original) if session is not None]
    except (UnsupportedFeature, UsageError, ContextOverflow, TemplateError) as error:
        return evolve(sample, not_run=f"{error.what.rstrip('.')}. {error.why}".strip())
    quantized, baseline = answers[0], answers[1] if original is not None else None
    sample = evolve(sample, quantized=quantized, baseline=baseline)
    if baseline is None:
        return sample
    divergence = first_divergence(quantized.token_ids, baseline.token_ids)
    return evolve(
        sample,
        match=divergence is None,
        first_divergence=divergence,
        similarity=similarity(quantized.token_ids, baseline.token_ids),
    )


def _answer(case: Case, session: Session, languages: Sequence[str], host: PluginHost) -> Answer:
    from pajamas.operations.generation import check_features, join, stream

    request = request_of(case)
    check_features(host, session, needed_features(request))
    result = join(stream(session, request, host=host))
    return Answer(
        text=result.text,
        reasoning=result.reasoning,
        tool_calls=tuple(f"{call.name}({call.arguments})" for call in result.tool_calls),
        token_ids=result.token_ids,
        finish_reason=result.finish_reason,
        faults=faults(case, result, languages),
    )


def first_divergence(left: Sequence[object], right: Sequence[object]) -> int | None:
    """The first index at which two answers differ; the shorter one's length if it is the beginning of the other."""
    for index, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return index
    return None if len(left) == len(right) else min(len(left), len(right))


def similarity(left: Sequence[int], right: Sequence[int]) -> float:
    """difflib's ratio over token ids (Ratcliff and Obershelp): twice the matches over the sum of the lengths."""
    return difflib.SequenceMatcher(None, left, right, autojunk=False).ratio()
