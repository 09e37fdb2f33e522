"""Which backend serves this artifact and these features, on which device, and why."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from attrs import frozen

from pajamas.backend import Backend
from pajamas.errors import DeviceNotFound, EngineMissing, PajamasError, PluginError, UnsupportedFeature
from pajamas.hookspecs import BACKENDS_GROUP
from pajamas.needs import feature_words
from pajamas.plugins import PluginHost
from pajamas.types import BackendInfo, Feature

DEVICES = ("cuda", "metal", "cpu")
"""What `--backend` accepts besides a backend's name: where the layers run."""

_PUBLISHED = ("gguf", "mlx", "vllm")
"""Formats whose backends are pajamas' own: of no other name is it known what would be installed."""


@frozen(kw_only=True)
class Choice:
    """The backend that was chosen, and the reasoning in the order in which it was done."""

    backend: Backend
    info: BackendInfo
    device: str | None
    reasons: tuple[str, ...]


@frozen
class _Refusal:
    """Why one backend was passed over."""

    error: PajamasError
    fitting: bool
    """It takes the format, or should: its error says more than that nobody takes it."""


def choose(
    host: PluginHost,
    format: str,
    wanted: str | None = None,
    needs: Iterable[Feature] = (),
    *,
    runnable: bool = True,
    quantizing: bool = False,
) -> Choice:
    """Choose the backend for artifacts of `format`.

    Args:
        host: the installed plugins.
        format: "gguf", "mlx", "safetensors".
        wanted: what `--backend` said: a backend's name, a device word, or None.
        needs: features that the request needs.
        runnable: False accepts a backend whose engine cannot run here, for work that needs no engine.
        quantizing: the work is `quantize`, which a backend with an environment for it does without its engine.

    Raises:
        UsageError: `wanted` names nothing that is installed.
        DeviceNotFound: the device is not here.
        UnsupportedFeature: no backend for the format, or none with these features; those that have them are named.
        EngineMissing: the only fitting backend cannot run here.
        PluginError: the backend that was asked for by name, or is named like the format, is broken, claimed twice or
            disabled, and no other serves.
    """
    needed = frozenset(needs)
    device = wanted if wanted in DEVICES else None
    name = None if device else wanted
    reasons = [f"The artifact's format is {format}."]
    if needed:
        reasons.append(f"What was asked for needs: {feature_words(needed)}.")
    if device:
        reasons.append(f"--backend {device} is a device: the backend follows from the format.")
    elif wanted:
        reasons.append(f"--backend {wanted} names the backend.")
    refusals: list[_Refusal] = []
    broken: dict[str, PluginError] = {}
    for candidate in [name] if name else _candidates(host, format):
        try:
            asked = candidate in (name, format)
            backend = host.backend(candidate) if asked else host.tried_backend(candidate)
            info = backend.describe()
        except PajamasError as error:
            if name:
                raise
            if isinstance(error, PluginError):
                broken[candidate] = error
            reasons.append(f"{candidate}: {error.what}")
            refusals.append(_Refusal(error, fitting=candidate == format))
            continue
        engine = runnable and not (quantizing and info.quantize_environment)
        problem = _problem(host, info, format, needed, device, engine, named=name is not None)
        if problem is None:
            host.warn(broken)
            reasons.append(f"{candidate} {_praise(info, needed, device)}: chosen.")
            return Choice(backend=backend, info=info, device=device, reasons=tuple(reasons))
        reasons.append(f"{candidate}: {problem.what}")
        refusals.append(_Refusal(problem, fitting=name is not None or format in info.formats))
    broken.pop(format, None)  # its error is raised, or part of what is raised
    host.warn(broken)
    raise _verdict(host, format, refusals)


def unsupported(
    host: PluginHost, backend: str, missing: Iterable[Feature], supported: Iterable[Feature]
) -> UnsupportedFeature:
    """The error for features that `backend`, or its session, lacks; it names the other backends that have them all."""
    missing = frozenset(missing)
    able = []
    for other in host.working_backends():
        try:
            info = other.describe()
        except PajamasError:
            continue  # the question here is who can help, and this one cannot
        if other.name != backend and missing <= info.features:
            able.append(f"{other.name} (for {', '.join(info.formats)} artifacts)")
    return UnsupportedFeature(
        f"Backend {backend!r} does not support {feature_words(missing)}.",
        f"It supports {feature_words(supported)}.",
        f"Leave the option out, or use a backend that supports it: {', '.join(able)}."
        if able
        else "Leave the option out: no other installed backend supports it.",
    )


def _candidates(host: PluginHost, format: str) -> list[str]:
    """The backend called like the format first, so that no other need be imported; it counts though it be disabled."""
    first = [format] if any(entry.name == format for entry in host.entries(BACKENDS_GROUP)) else []
    return first + [name for name in host.backend_names() if name != format]


def _problem(
    host: PluginHost,
    info: BackendInfo,
    format: str,
    needed: frozenset[Feature],
    device: str | None,
    runnable: bool,
    *,
    named: bool,
) -> PajamasError | None:
    if format not in info.formats:
        return UnsupportedFeature(
            f"Backend {info.name!r} does not take {format} artifacts.",
            f"It takes {', '.join(info.formats) or 'none'}.",
            "Leave --backend out to let the format decide, or convert the model for this backend.",
        )
    if format in info.named_formats and not named:
        return UnsupportedFeature(
            f"Backend {info.name!r} takes {format} artifacts only where it is named.",
            "It is slow here, and never chosen without being asked for.",
            f"Name it: --backend {info.name}",
        )
    if missing := needed - info.features:
        return unsupported(host, info.name, missing, info.features)
    if runnable and info.unavailable:
        return EngineMissing(f"Backend {info.name!r} cannot run here.", info.unavailable, info.fix)
    if device and device not in info.devices:
        return DeviceNotFound(
            f"There is no {device} device for backend {info.name!r} here.",
            f"It can use: {', '.join(info.devices)}.",
            "See `pajamas doctor` for what was found and what is missing.",
        )
    return None


def _verdict(host: PluginHost, format: str, refusals: list[_Refusal]) -> PajamasError:
    """The one error that says most: that of the backend that takes the format or was named, if there is one."""
    fitting = [refusal.error for refusal in refusals if refusal.fitting]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        whys = " ".join(error.what for error in fitting)
        kinds = {type(error) for error in fitting}
        kind = kinds.pop() if len(kinds) == 1 else UnsupportedFeature
        fixes = dict.fromkeys(error.fix for error in fitting if error.fix)
        return kind(f"No backend can serve this {format} artifact.", whys, "  Or: ".join(fixes))
    if format in host.backend_names() and (taken := _formats(host, format)):
        fix = f"Backend {format!r} takes {', '.join(taken)}: --formats {taken[0]} --backend {format}"
    elif format in _PUBLISHED:
        fix = f"Install the one that does: pip install pajamas-{format}"
    else:
        known = sorted({*_PUBLISHED, *host.backend_names()})  # most backends are called like their format
        near = difflib.get_close_matches(format, known, n=1)
        fix = f"Did you mean {near[0]!r}?" if near else f"Known are: {', '.join(known)}."
    return UnsupportedFeature(
        f"No installed backend takes {format} artifacts.",
        f"Installed backends: {', '.join(host.backend_names()) or 'none'}.",
        fix,
    )


def _formats(host: PluginHost, backend: str) -> tuple[str, ...]:
    try:
        return host.backend(backend).describe().formats
    except PajamasError:
        return ()


def _praise(info: BackendInfo, needed: frozenset[Feature], device: str | None) -> str:
    supported = f", supports {feature_words(needed)}" if needed else ""
    where = f" in an environment of its own ({info.python})" if info.python is not None else ""
    return f"takes it{supported} and runs on {device or info.devices[0]}{where}"
