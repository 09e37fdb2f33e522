"""The operation `equivalence`: whether several artifacts are the same model, whatever engine runs them."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from pajamas.dispatch import DEVICES
from pajamas.errors import UsageError
from pajamas.keywords import LoadKeywords
from pajamas.operations.originals import own_text
from pajamas.operations.validating import read_text
from pajamas.plugins import PluginHost
from pajamas.progress import NO_PROGRESS, Progress
from pajamas_validate.equivalence import findings, greedy, parts
from pajamas_validate.equivalence.corpus import texts
from pajamas_validate.equivalence.models import open_exact, open_models
from pajamas_validate.equivalence.origin import origins
from pajamas_validate.equivalence.record import EquivalenceResult, Status
from pajamas_validate.windows import CONTEXT

if TYPE_CHECKING:
    from pajamas.model_texts import ModelText
    from pajamas_validate.equivalence.models import Models


def equivalence(
    models: Sequence[str | Path],
    *,
    original: str | Path | None = None,
    text: str | Path | None = None,
    windows: int | None = 8,
    context: int = CONTEXT,
    depth: int = 2048,
    prompts: int = 40,
    max_tokens: int = 64,
    backend: str | None = None,
    progress: Progress = NO_PROGRESS,
    host: PluginHost | None = None,
    **loading: Unpack[LoadKeywords],
) -> EquivalenceResult:
    """Tell conversion faults from quantization loss, for two artifacts or more of one model.

    Faults are differences in what must not differ at all: tokens, prompts, settings, unquantized tensors, and what
    engines compute in float32 from 16-bit weights. A quantized artifact stands for its original there, and its own
    distance from that is its quantization loss.

    Args:
        models: files, folders, Hub ids or aliases, each loaded by the backend that its format decides.
        original: what all were made from; None is what `origin.origins` finds.
        text: what is scored, or a file of it; None is the model's own evaluation text, or the texts of `corpus`.
        windows: of the text, at most; None is all.
        context: tokens of a window.
        depth: tokens of the longest piece that is computed, from its beginning.
        prompts: how many of the model's own prompts are answered greedily; 0 answers none.
        max_tokens: of an answer.
        backend: a device word, or a backend for all of them.
        loading: fields of `types.LoadOptions`, for all of them.

    Raises:
        UsageError: fewer than two models, or numbers that make no sense.
        PajamasError: what loading, scoring and generating raise.
    """
    if prompts < 0 or max_tokens < 1:
        raise UsageError(f"{prompts} prompts of {max_tokens} tokens make no sense.", "", "Use numbers from 1.")
    if depth < 2:
        raise UsageError(f"A depth of {depth} tokens makes no sense.", "", "Use at least 2.")
    if text is not None and isinstance(text, Path):
        text = read_text(text)
    host = host or PluginHost()
    device = {"device": backend} if backend in DEVICES else {}
    with contextlib.ExitStack() as stack:
        opened = open_models(host, stack, models, backend, loading, progress)
        known = origins(host, opened.candidates, original, progress=progress)
        exact = open_exact(host, stack, opened, known, {**loading, **device}, progress)
        own = _own_text(host, original, opened)
        found = [parts.reading(opened, exact), parts.headers(opened.candidates), parts.tensors(opened, known)]
        comparable = not found[0].strangers
        if comparable:
            content = text
            if content is None:
                content = own.text if own else "\n\n".join(texts().values())
            found.append(
                parts.numbers(
                    opened,
                    exact,
                    known,
                    content,
                    context=context,
                    windows=windows,
                    deepest=depth,
                    progress=progress,
                )
            )
            if found[-1].faults:  # an original, where there is one, says whose fault it is
                suspects = origins(host, opened.candidates, original, quantized=False, progress=progress)
                found.append(parts.tensors(opened, suspects))
        if comparable and prompts:
            asked = greedy.user_prompts(own, prompts)
            found.append(parts.answers(opened.sessions, asked, max_tokens, host=host, progress=progress))
    faults = tuple(dict.fromkeys(fault for part in found for fault in part.faults))
    questions = [question for part in found for question in part.questions]
    status: Status = "fail" if faults else "pass" if any(part.judged for part in found) else "measured"
    notes = [note for part in found for note in part.notes]
    verdict = findings.of_verdict(status, faults, questions, notes)
    return EquivalenceResult(
        models=opened.candidates,
        findings=(*(finding for part in found for finding in part.findings), verdict),
        status=status,
        faults=faults,
    )


def _own_text(host: PluginHost, original: str | Path | None, models: Models) -> ModelText | None:
    found = (own_text(host, original, artifact) for artifact in models.artifacts.values())
    return next((text for text in found if text), None)
