"""What this backend can make, and what a person's options make of it. Free of the engine."""

from __future__ import annotations

from attrs import frozen

from pajamas.errors import UsageError
from pajamas.quantize_options import NoEffect
from pajamas.types import QuantizeJob

FORMAT = "safetensors"
GROUP_SIZES = (32, 64, 128)
"""That vLLM's kernels for weights of four bits take."""


@frozen(kw_only=True)
class Scheme:
    name: str
    preset: str
    """compressed-tensors' name."""
    type: str
    """Of a quantized weight, for people."""
    dtype: str
    """safetensors' name of the dtype that the weights are stored in."""
    bits: int
    group_size: int | None = None
    """Weights that share a scale; None is a whole row."""
    calibrated: bool = False
    """GPTQ chooses the weights, if there is a text."""


SCHEMES = {
    scheme.name: scheme
    for scheme in (
        Scheme(name="fp8", preset="FP8_DYNAMIC", type="float8_e4m3", dtype="F8_E4M3", bits=8),
        Scheme(name="w4a16", preset="W4A16", type="int4", dtype="I32", bits=4, group_size=128, calibrated=True),
        Scheme(name="w8a8", preset="W8A8", type="int8", dtype="I8", bits=8, calibrated=True),
    )
}
ALIASES = {
    "fp8_dynamic": "fp8", "fp8-dynamic": "fp8", "w8a8-fp8": "fp8", "int8": "w8a8", "w8a8-int8": "w8a8",
    "int4": "w4a16", "gptq": "w4a16",
}  # fmt: skip
REFUSED = {
    "awq": "Weights of four bits are made by GPTQ here; vLLM loads AWQ models that others have made.",
    "nvfp4": "It is for one generation of GPUs, and nothing here could try it.",
    "mxfp4": "It is for one generation of GPUs, and nothing here could try it.",
}
PROFILES = {"balanced": "w4a16", "ultra": "w4a16", "hq": "fp8"}
QUANTIZE_OPTIONS = frozenset({"calibration_samples", "calibration_text", "group_size", "threads"})


def find_scheme(name: str) -> Scheme:
    """Raises UsageError for one that is not made here."""
    if name not in SCHEMES:
        raise UsageError(
            f"There is no scheme {name!r} for vLLM.", f"It makes: {', '.join(SCHEMES)}.", "--precision fp8"
        )
    return SCHEMES[name]


def group_size_of(job: QuantizeJob, scheme: Scheme) -> int | None:
    """Weights that share a scale, None for a row.

    Raises:
        NoEffect: a scheme whose rows have one scale each is given a size, or one without calibration a text.
        UsageError: vLLM has no kernel for the size.
    """
    if not scheme.calibrated and (job.calibration_text is not None or job.calibration_samples is not None):
        raise NoEffect(f"A calibration text has no effect on {scheme.name}.", "It needs none.", "Leave it out.")
    if job.group_size is None:
        return scheme.group_size
    if scheme.group_size is None:
        raise NoEffect(
            f"--group-size has no effect on {scheme.name}.", "Each row of weights has one scale.", "Leave it out."
        )
    if job.group_size not in GROUP_SIZES:
        sizes = ", ".join(map(str, GROUP_SIZES))
        raise UsageError(
            f"A group size of {job.group_size} makes no sense.", f"vLLM computes with {sizes}.", "--group-size 128"
        )
    return job.group_size
