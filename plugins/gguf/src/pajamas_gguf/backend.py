"""What this backend can do here, told without loading the engine."""

from __future__ import annotations

import importlib.util

from pajamas.types import BackendInfo, Feature
from pajamas_gguf import engine, probe
from pajamas_gguf.schemes import ALIASES, CALIBRATED, SCHEMES
from pajamas_gguf.session.features import EMBEDDING, GENERATING

_QUANTIZE_OPTIONS = frozenset({
    "threads", "outtype", "tensor_types", "embedding_type", "output_type", "keep_16bit", "converter",
    "calibration_samples", "calibration_text", "imatrix", "keep_imatrix",
})  # fmt: skip
_INSTALL = "pip install pajamas-gguf"


def describe(thorough: bool = False) -> BackendInfo:
    """Versions from metadata, devices and fallbacks from the remembered probe.

    Before the first probe of a build its devices are those that its libraries are made for; whether they are here, the
    first load finds out, or this with `thorough`.
    """
    version = engine.version()
    unavailable = fix = None
    notes: tuple[str, ...] = ()
    devices: tuple[str, ...] = ("cpu",)
    if version is None or importlib.util.find_spec("llama_cpp") is None:
        unavailable, fix = f"{engine.DISTRIBUTION} is not installed", _INSTALL
    else:
        found = probe.probe() if thorough else probe.probed()
        if found is None:
            devices = probe.built_for()
            notes = ("this build of llama.cpp was not tried on this machine yet: the first load does it",)
        elif found.unavailable:
            unavailable = found.unavailable
            fix = f"pip install --force-reinstall --no-cache-dir {engine.DISTRIBUTION}: that builds it on this machine"
        else:
            devices, notes = found.devices, found.notes
    gpu = {Feature.GPU_LAYERS} if set(devices) - {"cpu"} else set()
    return BackendInfo(
        name="gguf",
        engine="llama.cpp by llama-cpp-python",
        engine_version=version,
        formats=("gguf",),
        schemes=tuple(SCHEMES),
        features=GENERATING | EMBEDDING | gpu,
        devices=devices,
        unavailable=unavailable,
        fix=fix or "",
        notes=notes,
        scheme_aliases=ALIASES,
        calibrated_schemes=CALIBRATED,
        quantize_options=_QUANTIZE_OPTIONS,
    )
