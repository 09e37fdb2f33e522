"""How good an artifact is, by what the installed plugins measure."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Unpack

from attrs import frozen

from pajamas.dispatch import DEVICES
from pajamas.errors import UnsupportedFeature, UsageError
from pajamas.keywords import LoadKeywords
from pajamas.plugins import PluginHost
from pajamas.progress import NO_PROGRESS, Progress
from pajamas.runtime import Runtime
from pajamas.types import Finding, ValidateJob


@frozen(kw_only=True)
class ValidationResult:
    findings: tuple[Finding, ...]


def validate(
    quantized: str | Path,
    original: str | Path | None = None,
    *,
    metrics: str | Sequence[str] | None = None,
    text: str | None = None,
    options: Mapping[str, Any] | None = None,
    backend: str | None = None,
    original_backend: str | None = None,
    progress: Progress = NO_PROGRESS,
    host: PluginHost | None = None,
    **loading: Unpack[LoadKeywords],
) -> ValidationResult:
    """Measure an artifact, alone or against its original.

    Args:
        quantized: the candidate: a file, a folder, a Hub id or an alias.
        original: what it is compared with, in the same words; None measures the candidate alone.
        metrics: names from `PluginHost.metrics`, or one text with commas between them; None is all of them.
        text: what is scored; None leaves it to the plugins.
        options: what the plugins that measure understand, passed on to them as it is.
        backend: for the candidate; a device word is meant for the original too.
        original_backend: for the original; None lets its format decide.
        loading: fields of `types.LoadOptions`, for both.

    Raises:
        UsageError: there is no such metric or option.
        UnsupportedFeature: no installed plugin measures anything.
        PluginConflict: two plugins claim one metric.
        PajamasError: what loading and the plugins that measure raise.
    """
    host = host or PluginHost()
    chosen = choose_metrics(host, metrics)
    shared = backend if backend in DEVICES else None
    with ExitStack() as stack:
        candidate = stack.enter_context(Runtime(quantized, backend, progress=progress, host=host, **loading))
        reference = None
        if original is not None:
            reference = stack.enter_context(
                Runtime(original, original_backend or shared, progress=progress, host=host, **loading)
            )
        job = ValidateJob(
            candidate=candidate.session,
            original=reference.session if reference else None,
            metrics=chosen,
            text=text,
            options=options or {},
            progress=progress,
        )
        return ValidationResult(findings=tuple(host.validate(job)))


def choose_metrics(host: PluginHost, wanted: str | Sequence[str] | None) -> tuple[str, ...]:
    """The metrics that are meant, each once, in the order in which they were named; all of them for None.

    Raises:
        UnsupportedFeature: no installed plugin measures anything.
        UsageError: none is named, or one that no plugin measures; near ones are suggested.
    """
    known = host.metrics()
    if not known:
        raise UnsupportedFeature(
            "Nothing can be measured.",
            "No installed plugin offers a metric.",
            "Install the one that does: pip install pajamas-validate",
        )
    if wanted is None:
        return tuple(known)
    named = wanted.split(",") if isinstance(wanted, str) else wanted
    chosen = tuple(dict.fromkeys(name.strip() for name in named if name.strip()))
    if not chosen:
        raise UsageError("No metric is named.", "", f"Known are: {', '.join(known)}. Leave the option out for all.")
    for name in chosen:
        if name not in known:
            near = difflib.get_close_matches(name, known)
            raise UsageError(
                f"There is no metric {name!r}.",
                f"Did you mean: {', '.join(near)}?" if near else f"Known are: {', '.join(known)}.",
                "See `pajamas plugins` for what each plugin measures.",
            )
    return chosen
