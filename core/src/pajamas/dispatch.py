"""Which backend serves this artifact and these features, on which device, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import frozen

from pajamas.backend import Backend
from pajamas.errors import DeviceNotFound, EngineMissing, PajamasError, UnsupportedFeature
from pajamas.plugins import PluginHost
from pajamas.types import BackendInfo, Feature

DEVICES = ("cuda", "metal", "cpu")
"""What `--backend` accepts besides a backend's name: where the layers run."""


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
    takes_format: bool


def choose(
    host: PluginHost, format: str, wanted: str | None = None, needs: Iterable[Feature] = (), *, runnable: bool = True
) -> Choice:
    """Choose the backend for artifacts of `format`.

    Args:
        host: the installed plugins.
        format: "gguf", "mlx", "safetensors".
        wanted: what `--backend` said: a backend's name, a device word, or None.
        needs: features that the request needs.
        runnable: False accepts a backend whose engine cannot run here, for work that needs no engine.

    Raises:
        UsageError: `wanted` names nothing that is installed.
        DeviceNotFound: the device is not here.
        UnsupportedFeature: no backend for the format, or none with these features; those that have them are named.
        EngineMissing: the only fitting backend cannot run here.
        PluginError: the backend that was asked for by name is broken.
    """
    needed = frozenset(needs)
    device = wanted if wanted in DEVICES else None
    reasons = [f"The artifact's format is {format}."]
    if device:
        reasons.append(f"--backend {device} is a device: the backend follows from the format.")
    elif wanted:
        reasons.append(f"--backend {wanted} names the backend.")
    refusals: list[_Refusal] = []
    for backend in _candidates(host, format, None if device else wanted):
        try:
            info = backend.describe()
        except PajamasError as error:
            if wanted == backend.name:
                raise
            reasons.append(f"{backend.name}: {error.what}")
            refusals.append(_Refusal(error, takes_format=False))
            continue
        problem = _problem(info, format, needed, device, runnable)
        if problem is None:
            reasons.append(f"{backend.name} {_praise(info, needed, device)}: chosen.")
            return Choice(backend=backend, info=info, device=device, reasons=tuple(reasons))
        reasons.append(f"{backend.name}: {problem.what}")
        refusals.append(_Refusal(problem, takes_format=format in info.formats))
    raise _verdict(host, format, needed, refusals, named=bool(wanted) and device is None)


def _candidates(host: PluginHost, format: str, wanted: str | None) -> Iterator[Backend]:
    """The named backend alone; else the one called like the format first, so that no other need be imported."""
    if wanted:
        yield host.backend(wanted)
        return
    names = host.backend_names()
    if format in names:
        yield from host.working_backends([format])
    yield from host.working_backends([name for name in names if name != format])


def _problem(
    info: BackendInfo, format: str, needed: frozenset[Feature], device: str | None, runnable: bool
) -> PajamasError | None:
    if format not in info.formats:
        return UnsupportedFeature(
            f"Backend {info.name!r} does not take {format} artifacts.",
            f"It takes {', '.join(info.formats) or 'none'}.",
            "Leave --backend out to let the format decide, or convert the model for this backend.",
        )
    if missing := needed - info.features:
        return UnsupportedFeature(
            f"Backend {info.name!r} does not support {_words(missing)}.",
            f"It supports {_words(info.features)}.",
            "Leave the option out, or use a backend that supports it.",
        )
    if runnable and info.unavailable:
        return EngineMissing(f"Backend {info.name!r} cannot run here.", info.unavailable, info.fix)
    if device and device not in info.devices:
        return DeviceNotFound(
            f"There is no {device} device for backend {info.name!r} here.",
            f"It can use: {', '.join(info.devices)}.",
            "See `pajamas doctor` for what was found and what is missing.",
        )
    return None


def _verdict(
    host: PluginHost, format: str, needed: frozenset[Feature], refusals: list[_Refusal], *, named: bool
) -> PajamasError:
    """The one error that says most: that of the backend that takes the format or was named, if there is one."""
    fitting = [refusal.error for refusal in refusals if named or refusal.takes_format] or [
        refusal.error for refusal in refusals if not isinstance(refusal.error, UnsupportedFeature)
    ]
    if len(fitting) == 1:
        return _naming_others(host, fitting[0], needed)
    if fitting:
        whys = " ".join(error.what for error in fitting)
        kinds = {type(error) for error in fitting}
        kind = kinds.pop() if len(kinds) == 1 else UnsupportedFeature
        return kind(f"No backend can serve this {format} artifact.", whys, fitting[0].fix)
    return UnsupportedFeature(
        f"No installed backend takes {format} artifacts.",
        f"Installed backends: {', '.join(host.backend_names()) or 'none'}.",
        f"Install one that does, for example: pip install pajamas-{format}",
    )


def _naming_others(host: PluginHost, error: PajamasError, needed: frozenset[Feature]) -> PajamasError:
    """For a missing feature, the backends that have it."""
    if not isinstance(error, UnsupportedFeature) or not needed:
        return error
    able = []
    for backend in host.working_backends():
        try:
            if needed <= backend.describe().features:
                able.append(backend.name)
        except PajamasError:
            continue  # the question here is who can help, and this one cannot
    fix = f"Backends that support it: {', '.join(able)}." if able else "No installed backend supports it."
    return UnsupportedFeature(error.what, error.why, fix)


def _praise(info: BackendInfo, needed: frozenset[Feature], device: str | None) -> str:
    supported = f", supports {_words(needed)}" if needed else ""
    return f"takes it{supported} and runs on {device or info.devices[0]}"


def _words(features: Iterable[Feature]) -> str:
    return ", ".join(sorted(feature.value for feature in features)) or "no optional feature"
