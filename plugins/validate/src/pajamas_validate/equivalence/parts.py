"""The comparisons, one a function: what is read, what headers state, what tensors hold, what is computed and said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pajamas.plugins import PluginHost
from pajamas.progress import NO_PROGRESS, Progress
from pajamas_validate.equivalence import findings, greedy
from pajamas_validate.equivalence.candidate import tensors_of
from pajamas_validate.equivalence.corpus import conversations, texts
from pajamas_validate.equivalence.figures import measure
from pajamas_validate.equivalence.floor import find_floor, limit, other_versions
from pajamas_validate.equivalence.loss import Loss
from pajamas_validate.equivalence.reading import compare_prompts, compare_tokens
from pajamas_validate.equivalence.record import Part
from pajamas_validate.equivalence.settings import differences, settings_of
from pajamas_validate.equivalence.weights import compare_weights

if TYPE_CHECKING:
    from pajamas.session import Session
    from pajamas.types import Artifact, Finding
    from pajamas_validate.equivalence.candidate import Candidate
    from pajamas_validate.equivalence.figures import Figures
    from pajamas_validate.equivalence.lockstep import Pair
    from pajamas_validate.equivalence.models import Exact, Models

_NORMALIZED = (
    "One engine brings texts into a Unicode normal form first, and the other has no means to: decomposed characters "
    "become other tokens. No conversion mends that; give it texts in the form NFC."
)
_ONE_ENGINE = "All were computed by one engine: a fault that all of their conversions share would not show."
_EXACT, _NATIVE = 1e-3, 2.0**-4
"""Float noise in nats: of float32, and of bfloat16, whose values between 8 and 16 lie that far apart."""


def reading(models: Models, exact: Exact) -> Part:
    """Texts as tokens, and conversations as prompts. What normalizing texts explains is the engine's, and no fault."""
    corpus, asked = texts(), conversations()
    sessions = {**models.sessions, **exact.originals}
    tokens = compare_tokens(sessions, corpus)
    wrong = [difference for difference in tokens if difference.form is None]
    prompts = compare_prompts(sessions, asked)
    return Part(
        findings=(
            findings.of_reading("tokens", "texts", len(corpus), tokens),
            findings.of_reading("prompts", "conversations", len(asked), prompts),
        ),
        faults=tuple(
            f"The {what} differs. {found[0].sentence}"
            for what, found in (("tokenization", wrong), ("rendered prompt", prompts))
            if found
        ),
        questions=(_NORMALIZED,) if len(wrong) < len(tokens) else (),
        strangers=len({difference.text for difference in wrong}) > len(corpus) / 2,
    )


def headers(candidates: Sequence[Candidate]) -> Part:
    """What the headers of the others state, against the first one's."""
    stated = {candidate.label: settings_of(candidate.path) for candidate in candidates}
    first, *others = stated
    found = [difference for other in others for difference in differences(first, stated[first], other, stated[other])]
    shared = set.intersection(*(set(values) for values in stated.values()))
    return Part(
        findings=(findings.of_settings(len(shared), found),),
        faults=tuple(difference.sentence for difference in found),
    )


def tensors(models: Models, origins: Mapping[str, Artifact]) -> Part:
    """What each model must have kept of its original."""
    found, faults = [], []
    for label, origin in origins.items():
        path = models.artifacts[label].path
        if (path.suffix == ".gguf") == (origin.path.suffix == ".gguf"):  # else tensors have other names
            check = compare_weights(path, origin.path)
            found.append(findings.of_weights(label, check))
            faults += [f"In {label}, {difference.sentence}" for difference in check.differences]
        settings = differences(label, settings_of(path), f"{label}'s original", settings_of(origin.path))
        faults += [difference.sentence for difference in settings]
    return Part(findings=tuple(found), faults=tuple(faults))


def numbers(
    models: Models,
    exact: Exact,
    origins: Mapping[str, Artifact],
    text: str,
    *,
    context: int,
    windows: int | None,
    deepest: int,
    progress: Progress = NO_PROGRESS,
) -> Part:
    """What is computed: in float32 a test, as they are a figure, and against its original each one's loss."""
    native = _pairs(list(models.sessions))
    tested = _pairs(list(exact.sessions))
    losses = [(exact.keys[label], label) for label in origins if label in exact.keys]
    measured = measure(
        {**models.sessions, **exact.sessions},
        dict.fromkeys(native, _NATIVE) | dict.fromkeys(tested, _EXACT) | dict.fromkeys(losses, _NATIVE),
        text,
        context=context,
        windows=windows,
        deep=tested,
        deepest=deepest,
        progress=progress,
    )
    by_label = {candidate.label: candidate for candidate in models.candidates}
    found, faults = [], []
    for pair in tested:
        finding, fault = _test(pair, measured[pair], exact)
        found.append(finding)
        faults += fault
    faults += _odd_one(tested, measured, exact)
    for one, other in native:
        quantized = by_label[one].quantized or by_label[other].quantized
        found.append(findings.of_native((one, other), measured[one, other], quantized=quantized))
    for key, label in losses:
        weights = sum(_elements(shape) for shape in _shapes(origins[label]))
        loss = Loss(distance=measured[key, label].distance, bits=8 * by_label[label].size / max(weights, 1))
        found.append(findings.of_loss(by_label[label], loss))
    one_engine = tested and len({candidate.backend for candidate in exact.backends.values()}) == 1
    return Part(
        findings=tuple(found),
        faults=tuple(faults),
        questions=_questions(exact, tested),
        notes=(_ONE_ENGINE,) if one_engine else (),
        judged=bool(tested),
    )


def answers(
    sessions: Mapping[str, Session],
    prompts: Sequence[str],
    max_tokens: int,
    *,
    host: PluginHost,
    progress: Progress = NO_PROGRESS,
) -> Part:
    """What they say, greedily: no test, for one rounding can turn an answer."""
    said = {
        label: greedy.answer(session, prompts, max_tokens, host=host, progress=progress, title=label)
        for label, session in sessions.items()
    }
    return Part(findings=tuple(findings.of_greedy(comparison) for comparison in greedy.compare(said)))


def _test(pair: Pair, figures: Figures, exact: Exact) -> tuple[Finding, list[str]]:
    candidates = exact.backends[pair[0]], exact.backends[pair[1]]
    names = exact.names[pair[0]], exact.names[pair[1]]
    floor = find_floor(*candidates)
    most = limit(floor)
    finding = findings.of_float32(names, figures, floor, most, other_versions(floor, candidates) if floor else ())
    if figures.worst <= most:
        return finding, []
    return finding, [
        f"In float32, {names[0]} and {names[1]} compute different things: mean KLD {figures.worst:.2g}, "
        f"and rounding makes at most {most:g}."
    ]


def _odd_one(tested: Sequence[Pair], measured: Mapping[Pair, Figures], exact: Exact) -> list[str]:
    """The one of three or more that all others agree without."""
    if len(exact.sessions) < 3:
        return []
    wrong = {
        pair for pair in tested if measured[pair].worst > limit(find_floor(*(exact.backends[key] for key in pair)))
    }
    odd = [key for key in exact.sessions if wrong == {pair for pair in tested if key in pair}]
    return [f"All others agree without {exact.names[odd[0]]}."] if wrong and len(odd) == 1 else []


def _questions(exact: Exact, tested: Sequence[Pair]) -> tuple[str, ...]:
    if exact.missing or tested:
        return exact.missing
    return ("All are made from one original for one engine: no second computation of it was there to compare.",)


def _pairs(keys: Sequence[str]) -> list[Pair]:
    return [(one, other) for number, one in enumerate(keys) for other in keys[number + 1 :]]


def _shapes(artifact: Artifact) -> list[tuple[int, ...]]:
    return [tensor.shape for tensor in tensors_of(artifact.path).values()]


def _elements(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count
