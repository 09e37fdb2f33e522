"""How good an artifact is, by what the installed plugins measure."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Unpack

from attrs import evolve

from pajamas import manifest
from pajamas.artifacts import Artifact
from pajamas.dispatch import DEVICES
from pajamas.errors import DownloadError, ModelNotFound, NotCached, UnsupportedFeature, UsageError
from pajamas.keywords import LoadKeywords, load_options
from pajamas.measurements import make_measurement, record_measurement
from pajamas.operations.originals import find_original, gone_original, is_own_source, own_text
from pajamas.operations.resolving import resolve
from pajamas.plugins import PluginHost
from pajamas.progress import NO_PROGRESS, Progress
from pajamas.runtime import Runtime
from pajamas.validation import ReportJob, ValidateJob, ValidationPlan
from pajamas.validation import ValidationResult as ValidationResult


def validate(
    quantized: str | Path,
    original: str | Path | None = None,
    *,
    alone: bool = False,
    metrics: str | Sequence[str] | None = None,
    text: str | Path | None = None,
    options: Mapping[str, Any] | None = None,
    report: Path | None = None,
    record: bool = True,
    backend: str | None = None,
    original_backend: str | None = None,
    progress: Progress = NO_PROGRESS,
    host: PluginHost | None = None,
    **loading: Unpack[LoadKeywords],
) -> ValidationResult:
    """Measure an artifact against its original, or alone.

    Args:
        quantized: the candidate: a file, a folder, a Hub id or an alias.
        original: what it is compared with, in the same words; of a model in Hugging Face layout a 16-bit GGUF is made
            where the candidate is one (`originals.find_original`). None is what the candidate's receipt says that it
            was made from; where nothing says so, it is measured alone.
        alone: measure it alone, whatever is known of its original.
        metrics: names from `PluginHost.metrics`, or one text with commas between them; None is all of them.
        text: what is scored, or a file of it; None leaves it to the plugins, who are told of the model's own text.
        options: what the plugins that measure understand, passed on to them as it is.
        report: a folder where the plugins write it up.
        record: where the candidate has a receipt and is compared with what that says it was made from, put the figures
            into it.
        backend: for the candidate; a device word is meant for the original too.
        original_backend: for the original; None lets its format decide.
        loading: fields of `types.LoadOptions`, for both.

    Raises:
        ModelNotFound: the original that the receipt names is gone with its text, and no other text can be had.
        UsageError: there is no such metric or option, or `alone` with an original; plugins refuse what they can before
            anything is loaded.
        UnsupportedFeature: no installed plugin measures anything.
        PluginConflict: two plugins claim one metric.
        PajamasError: what loading and the plugins that measure raise.
    """
    host = host or PluginHost()
    chosen = choose_metrics(host, metrics)
    if alone and original is not None:
        raise UsageError("The candidate cannot be measured alone and against an original.", "", "Leave one out.")
    _check_loading(loading)
    here = [] if text is not None else _artifacts(host, quantized)
    plan = ValidationPlan(
        metrics=chosen,
        options=options or {},
        text=text,
        needs_text=text is None and _brings_no_text(host, here, original),
        has_original=original is not None,
        report=report,
    )
    try:
        host.check_validation(plan)
    except (DownloadError, NotCached) as error:  # of a text that its own would have spared
        if original is None and not alone and (gone := _gone(here)) is not None:
            gone.why += f" Nor can another text be had: {error.what}"
            raise gone from error
        raise
    text_name, content = (text.name, read_text(text)) if isinstance(text, Path) else ("", text)
    request = _request(metrics, text, options, backend, original_backend, loading)
    shared = backend if backend in DEVICES else None
    with ExitStack() as stack:
        candidate = stack.enter_context(Runtime(quantized, backend, progress=progress, host=host, **loading))
        other = original_backend or shared
        compared = reference = None
        if not alone:
            engine = candidate.session.backend
            compared = find_original(
                host, original, candidate.artifact, backend=other, engine=engine, progress=progress
            )
            if isinstance(compared, Artifact) and not original_backend and _takes(host, engine, compared):
                other = engine
                loading["device"] = loading.get("device") or shared
        if compared is not None:
            reference = stack.enter_context(Runtime(compared, other, progress=progress, host=host, **loading))
        job = ValidateJob(
            candidate=candidate.session,
            original=reference.session if reference else None,
            metrics=chosen,
            all_metrics=metrics is None,
            text=content,
            text_name=text_name,
            model_text=own_text(host, compared, candidate.artifact),
            options=options or {},
            progress=progress,
            candidate_artifact=candidate.artifact,
            original_artifact=reference.artifact if reference else None,
            report=report,
        )
        result = ValidationResult(
            findings=tuple(host.validate(job)),
            artifact=candidate.artifact,
            original=job.original_artifact,
            backend=candidate.session.backend,
        )
    own = original is None or is_own_source(host, original, result.artifact)
    if record and request is not None and own and result.original is not None:
        measurement = make_measurement(result, request, host)
        path = record_measurement(result.artifact.path, measurement, progress)
        result = evolve(result, manifest_path=path)
    if report is not None:
        job_of_report = ReportJob(
            folder=report, findings=result.findings, artifact=result.artifact, original=result.original
        )
        result = evolve(result, reports=tuple(host.report(job_of_report)))
    return result


def _artifacts(host: PluginHost, candidate: str | Path) -> list[Path]:
    """What the candidate may be once it is loaded, as far as it lies here."""
    path = resolve(host, candidate).path
    if path is None:
        return []
    paths = [path, *path.glob("*.gguf")]  # the format's folder of those that `convert` writes
    if (path / manifest.FILE_NAME).is_file():
        paths = [path / receipt.path for receipt in manifest.read(path).artifacts]
    return paths


def _gone(candidates: Sequence[Path]) -> ModelNotFound | None:
    """The error where whichever of them is meant was made from a model that is there no more."""
    found = [manifest.find_receipt(path) for path in candidates]
    gone = [gone_original(*receipt) for receipt in found if receipt]
    return gone[0] if gone and all(gone) else None


def _check_loading(loading: Mapping[str, Any]) -> None:
    """Refuses now what loading would refuse, and tells where options of plugins go: which there are only they know."""
    for name, value in loading.items():
        if name not in LoadKeywords.__annotations__:
            raise UsageError(
                f"There is no option {name!r}.",
                "It is none of loading.",
                f"If a plugin that measures knows it: options={{{name!r}: {value!r}}}",
            )
    load_options(loading)


def _brings_no_text(host: PluginHost, candidates: Sequence[Path], original: str | Path | None) -> bool:
    """Whether it is certain that neither a candidate nor the original has a text of its own to be judged by."""
    texts = (own_text(host, original, Artifact(path=path, format="")) for path in candidates)
    return bool(candidates) and all(text is None for text in texts)


def _takes(host: PluginHost, engine: str, artifact: Artifact) -> bool:
    return artifact.format in host.backend(engine).describe().formats


def _request(
    metrics: str | Sequence[str] | None,
    text: str | Path | None,
    options: Mapping[str, Any] | None,
    backend: str | None,
    original_backend: str | None,
    loading: Mapping[str, Any],
) -> dict[str, Any] | None:
    """What measures the same again, as JSON; None where that cannot be written down."""
    if isinstance(text, str):
        return None
    given = dict(options or {})
    if any(isinstance(value, Path) for value in given.values()):
        return None  # a reference stands for the original: another measurement than the receipt's
    wanted: dict[str, Any] = {
        "metrics": metrics if isinstance(metrics, str) else metrics and list(metrics),
        "text": text and str(text.expanduser().resolve()),
        "options": given,
        "backend": backend,
        "original_backend": original_backend,
        **{name: value for name, value in loading.items() if name != "threads"},
    }
    return {name: value for name, value in wanted.items() if value}


def read_text(path: Path) -> str:
    """A text file as llama-perplexity reads it: bytes as they are, but for one newline at the end.

    Raises:
        UsageError: it cannot be read, or is not UTF-8.
    """
    try:
        return path.expanduser().read_bytes().decode("utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as a text.", str(error), "Name a text file in UTF-8.") from error


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
