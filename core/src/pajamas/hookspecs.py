"""The contract between core and plugins: every hook, what it is asked and what its answer means.

Implement a hook by decorating a function of the same name with `hookimpl`, naming only the arguments you use,
positionally and without defaults. Backends are named by an entry point of the group `pajamas.backends`; plugins that
are not backends by one of `pajamas.plugins`. The module that an entry point names imports no engine.

A plugin of `pajamas.plugins` is imported when a hook is called that its module defines or imports by name. Commands and
operations need no hook: see `pajamas.cli.plugin` and `pajamas.core.run`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import pluggy

from pajamas.entry_points import BACKENDS_GROUP as BACKENDS_GROUP
from pajamas.entry_points import PLUGINS_GROUP as PLUGINS_GROUP
from pajamas.entry_points import PROJECT as PROJECT

if TYPE_CHECKING:
    from pathlib import Path

    from pajamas.modelfiles import ModelFiles
    from pajamas.types import (
        Architecture,
        Artifact,
        BackendInfo,
        Chunk,
        Finding,
        GenerateRequest,
        LoadOptions,
        QuantizeJob,
        ReportJob,
        Session,
        ValidateJob,
        ValidationPlan,
    )

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


# --- what a plugin is ------------------------------------------------------------------------------------------------


@hookspec(firstresult=True)
def describe(thorough: bool = False) -> BackendInfo | None:
    """Say what this backend can do, and why it cannot do it on this machine.

    Called by `pajamas plugins`, `pajamas doctor` and the dispatcher, for one backend at a time.

    :param thorough: False (the dispatcher): be quick, well under a second; look for the engine by metadata or
        `importlib.util.find_spec`, do not load it. True (`pajamas doctor`): try the engine, in a child process if it
        could crash, for some seconds at most. An implementation that makes no difference leaves the argument out.

    Return the record, with `unavailable` set to a one-line reason where the engine is missing or broken and `fix` set
    to what a person can do. Stops at the first non-None result; only one backend is asked.

    .. code-block:: python

        @hookimpl
        def describe():
            return BackendInfo(name="echo", engine="none", ...)
    """


@hookspec
def model_aliases() -> Mapping[str, str] | None:
    """Offer short names for models.

    Called once, when a model name that could be an alias is resolved or listed. Return a mapping of alias to source
    (a Hub id, `hf://...`, or an absolute path), or None for none. Collected from all plugins; an alias that two plugins
    give different sources is an error naming both, and the user's own configuration wins over every plugin.

    .. code-block:: python

        @hookimpl
        def model_aliases():
            return {"tiny": str(Path(__file__).with_name("model"))}
    """


# --- from files to an artifact ---------------------------------------------------------------------------------------


@hookspec(firstresult=True)
def detect_architecture(files: ModelFiles) -> Architecture | None:
    """Read what a model is from its headers.

    Called before anything is loaded, for one backend at a time and guarded, and only for files that core itself cannot
    read (core knows Hugging Face configs and GGUF headers). Two backends that answer differently are an error naming
    both; equal answers are agreement.

    :param files: the model's files, local or remote; read headers only, weights may be far away and large.

    Return None for files that are not yours, also when they are damaged: never raise for foreign files.
    """


@hookspec(firstresult=True)
def quantize(job: QuantizeJob) -> Artifact | None:
    """Turn the source model into one artifact of `job.scheme`.

    Called for the one backend that was chosen by `job.format`. Write beside `job.output` and rename when complete; an
    interrupted run leaves nothing under the final name. With `job.dry_run` write nothing and return the artifact that
    would be, exact in size, from headers alone.

    :param job: the source, the scheme, the target and the options; refuse an option you cannot honour with
        `UnsupportedFeature` or `UsageError`, by its name.

    Return None for a format that is not yours. Stops at the first non-None result.
    """


# --- from an artifact to answers -------------------------------------------------------------------------------------


@hookspec(firstresult=True)
def load(artifact: Artifact, options: LoadOptions) -> Session | None:
    """Load an artifact with the engine.

    Called for the one backend that the dispatcher chose. The engine is imported here, not before.

    :param artifact: path and format; for a foreign file the other fields may be empty.
    :param options: refuse what you cannot honour, by name; a device that is not here is `DeviceNotFound`.

    Return None for a format that is not yours. Stops at the first non-None result.
    """


@hookspec(firstresult=True)
def generate(session: Session, request: GenerateRequest) -> Iterator[Chunk] | None:
    """Answer one request as a lazy stream.

    Called for the backend that loaded the session. The last chunk carries `finish_reason` and `usage`. Core has
    checked the request against the session's features and rendered its prompt.

    :param session: one that this backend's `load` returned.
    :param request: rendered; sampling fields that are None are off.

    Return None for a session that is not yours. Stops at the first non-None result. A wrapper around this hook is
    left before the first token is computed: re-wrap the iterator instead.
    """


# --- how good it is --------------------------------------------------------------------------------------------------


@hookspec
def validation_metrics() -> Mapping[str, str] | None:
    """Name the metrics that this plugin's `validate` measures.

    Called once, before a validation loads anything, and to list what is installed. Return a mapping of a metric's name,
    as a person types it, to one line that says what it measures, or None for none. Collected from all plugins; a name
    that two plugins claim is an error naming both.

    .. code-block:: python

        @hookimpl
        def validation_metrics():
            return {"perplexity": "how surprised the model is by the text"}
    """


@hookspec
def check_validation(plan: ValidationPlan) -> None:
    """Refuse early what `validate` would refuse anyway, and fetch what it needs from elsewhere.

    Called before a validation loads a model, and before a conversion that is to be measured: both may take hours. On
    every plugin; what one raises is what the user is told.

    :param plan: what was asked for, not checked yet. Raise `UsageError` for options that you do not understand only if
        one of `plan.metrics` is yours.

    Return None. What cannot be known yet is left to `validate`.
    """


@hookspec
def validate(job: ValidateJob) -> list[Finding] | None:
    """Measure a candidate, alone or against its original.

    Called once for a validation, on every plugin; the findings are collected and core flattens them.

    :param job: loaded sessions, the metrics that were asked for and the text. Each metric was offered by some plugin's
        `validation_metrics`; pass over those that are not yours.

    Return the findings for the metrics that you know, or None.
    """


@hookspec
def report(job: ReportJob) -> Path | None:
    """Write up a validation for people: a page, a table, whatever fits what you measure.

    Called once after a validation for which a report was asked, on every plugin, with the findings of all plugins.

    :param job: the findings, the artifacts, and the folder to write to, which may not be there yet. Write each file
        complete or not at all.

    Return the file that a person opens first, or None if you write nothing.
    """
