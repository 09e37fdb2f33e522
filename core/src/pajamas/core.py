"""The library's front door: `run()`, with one typed signature for each operation.

>>> import pajamas
>>> result = pajamas.run("convert", model="tiny", output="models/tiny")
>>> result.gguf_path
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from pajamas.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pajamas.environments.record import EnvironmentRecord
    from pajamas.keywords import AnswerKeywords, LoadKeywords
    from pajamas.operations.converting import ConvertResult
    from pajamas.operations.doctor import Diagnosis
    from pajamas.operations.environments import EnvironmentStatus
    from pajamas.operations.generation import GenerateResult
    from pajamas.operations.info import ModelInfo
    from pajamas.operations.inventory import Inventory
    from pajamas.operations.plugin_list import PluginStatus
    from pajamas.operations.pulling import PullResult
    from pajamas.operations.validating import ValidationResult
    from pajamas.operations.verifying import VerifyResult
    from pajamas.plugins import PluginHost
    from pajamas.progress import Progress
    from pajamas.runtime import Runtime
    from pajamas.types import Feature

OPERATIONS = {
    "info": "pajamas.operations.info:info",
    "pull": "pajamas.operations.pulling:pull",
    "convert": "pajamas.operations.converting:convert",
    "validate": "pajamas.operations.validating:validate",
    "verify": "pajamas.operations.verifying:verify",
    "load": "pajamas.runtime:Runtime",
    "generate": "pajamas.operations.answering:generate",
    "embed": "pajamas.operations.answering:embed",
    "list": "pajamas.operations.inventory:list_models",
    "plugins": "pajamas.operations.plugin_list:list_plugins",
    "doctor": "pajamas.operations.doctor:diagnose",
    "create_environment": "pajamas.operations.environments:create_environment",
    "environments": "pajamas.operations.environments:list_environments",
    "remove_environment": "pajamas.operations.environments:remove_environment",
}
"""Operation to the function behind it, imported when it is run."""


@overload
def run(
    operation: Literal["info"],
    *,
    model: str | Path | None = ...,
    contexts: Sequence[int] = ...,
    progress: Progress = ...,
    host: PluginHost | None = ...,
) -> ModelInfo: ...
@overload
def run(
    operation: Literal["pull"],
    *,
    model: str | Path | None = ...,
    progress: Progress = ...,
    host: PluginHost | None = ...,
) -> PullResult: ...
@overload
def run(
    operation: Literal["convert"],
    *,
    model: str | Path | None = ...,
    output: str | Path | None = ...,
    formats: str | Sequence[str] = ...,
    precision: str | None = ...,
    profile: str | None = ...,
    aggressive: bool = ...,
    validate: bool = ...,
    dry_run: bool = ...,
    force: bool = ...,
    backend: str | None = ...,
    threads: int | None = ...,
    outtype: str | None = ...,
    tensor_types: Sequence[tuple[str, str]] = ...,
    embedding_type: str | None = ...,
    output_type: str | None = ...,
    keep_16bit: bool = ...,
    converter: str | None = ...,
    calibration_samples: int | None = ...,
    calibration_text: str | Path | None = ...,
    imatrix: str | Path | None = ...,
    keep_imatrix: bool = ...,
    mixed_precision: bool = ...,
    embedding_bits: int | None = ...,
    group_size: int | None = ...,
    target_bpw: float | None = ...,
    validation: Mapping[str, Any] | None = ...,
    command: str = ...,
    progress: Progress = ...,
    host: PluginHost | None = ...,
) -> ConvertResult: ...
@overload
def run(
    operation: Literal["verify"],
    *,
    path: str | Path,
    deep: bool = ...,
    progress: Progress = ...,
    host: PluginHost | None = ...,
) -> VerifyResult: ...
@overload
def run(
    operation: Literal["validate"],
    *,
    quantized: str | Path,
    original: str | Path | None = ...,
    alone: bool = ...,
    metrics: str | Sequence[str] | None = ...,
    text: str | Path | None = ...,
    options: Mapping[str, Any] | None = ...,
    report: Path | None = ...,
    record: bool = ...,
    backend: str | None = ...,
    original_backend: str | None = ...,
    progress: Progress = ...,
    host: PluginHost | None = ...,
    **loading: Unpack[LoadKeywords],
) -> ValidationResult: ...
@overload
def run(
    operation: Literal["load"],
    *,
    path: str | Path | None = ...,
    backend: str | None = ...,
    isolated: bool = ...,
    needs: Iterable[Feature] = ...,
    progress: Progress = ...,
    host: PluginHost | None = ...,
    **options: Unpack[LoadKeywords],
) -> Runtime: ...
@overload
def run(
    operation: Literal["generate"],
    *,
    model: str | Path | None = ...,
    prompt: str | None = ...,
    backend: str | None = ...,
    isolated: bool = ...,
    progress: Progress = ...,
    host: PluginHost | None = ...,
    **options: Unpack[AnswerKeywords],
) -> GenerateResult: ...
@overload
def run(
    operation: Literal["embed"],
    *,
    texts: Sequence[str],
    model: str | Path | None = ...,
    backend: str | None = ...,
    isolated: bool = ...,
    progress: Progress = ...,
    host: PluginHost | None = ...,
    **options: Unpack[LoadKeywords],
) -> NDArray[np.float32]: ...
@overload
def run(operation: Literal["list"], *, host: PluginHost | None = ...) -> Inventory: ...
@overload
def run(
    operation: Literal["plugins"], *, thorough: bool = ..., host: PluginHost | None = ...
) -> tuple[PluginStatus, ...]: ...
@overload
def run(operation: Literal["doctor"], *, host: PluginHost | None = ...) -> tuple[Diagnosis, ...]: ...
@overload
def run(
    operation: Literal["create_environment"],
    *,
    name: str,
    device: str | None = ...,
    force: bool = ...,
    pip_args: str | Sequence[str] = ...,
    progress: Progress = ...,
    host: PluginHost | None = ...,
) -> EnvironmentRecord: ...
@overload
def run(operation: Literal["environments"], *, host: PluginHost | None = ...) -> tuple[EnvironmentStatus, ...]: ...
@overload
def run(operation: Literal["remove_environment"], *, name: str, host: PluginHost | None = ...) -> None: ...


def run(operation: str, **request: Any) -> Any:
    """Run one operation: the same thing that the command of that name does, with records for results.

    Args:
        operation: a key of `OPERATIONS`, or the name of an operation that a plugin adds (entry-point group
            `pajamas.operations`); core's own win. A plugin's function is given `host` if it takes it.
        request: its arguments, as the typed signatures above say. `host` is a `plugins.PluginHost` to use instead of
            a fresh one, `progress` what is told how far long work is.

    Raises:
        UsageError: no such operation, an unknown argument (with the nearest known ones), or one that is missing.
        PluginError: the plugin that adds the operation is broken, or two claim it.
        PajamasError: what the operation raises.
    """
    if operation in OPERATIONS:
        module, _, name = OPERATIONS[operation].partition(":")
        function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    else:
        function, request = _of_plugin(operation, request)
    _check_arguments(operation, function, request)
    return function(**request)


def _of_plugin(operation: str, request: dict[str, Any]) -> tuple[Callable[..., Any], dict[str, Any]]:
    """The function that a plugin adds, and what it is called with."""
    from pajamas.entry_points import OPERATIONS_GROUP
    from pajamas.plugins import PluginHost

    host = request.get("host") or PluginHost()
    function = host.operation(operation)
    if function is None:
        names = [*OPERATIONS, *(name for name in host.names(OPERATIONS_GROUP) if name not in OPERATIONS)]
        near = difflib.get_close_matches(operation, names)
        raise UsageError(
            f"There is no operation {operation!r}.",
            f"Operations: {', '.join(names)}.",
            f"Did you mean {near[0]!r}?" if near else "If a plugin adds it, install that.",
        )
    others = {name: value for name, value in request.items() if name != "host"}
    return function, others | ({"host": host} if "host" in inspect.signature(function).parameters else {})


def _check_arguments(operation: str, function: Callable[..., Any], request: dict[str, Any]) -> None:
    signature = inspect.signature(function)
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in signature.parameters.values())
    for name in request:
        if name not in signature.parameters and not open_ended:
            near = difflib.get_close_matches(name, signature.parameters) or list(signature.parameters)
            raise UsageError(f"{operation} has no argument {name!r}.", f"Did you mean: {', '.join(near)}?", "")
    try:
        signature.bind(**request)
    except TypeError as error:
        raise UsageError(f"{operation} cannot be run with these arguments.", f"{error}.", "") from error
