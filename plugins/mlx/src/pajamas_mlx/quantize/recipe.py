"""One job's recipe: the scheme and the options, checked against each other before any work. Free of the engine."""

from __future__ import annotations

import math

from attrs import frozen

from pajamas.errors import UsageError
from pajamas.quantize_options import FLAGS, NoEffect
from pajamas.types import QuantizeJob
from pajamas_mlx.quantize.schemes import BITS, GROUP_SIZES, SCHEMES, Scheme

TARGET_BPW = 5.0
_EMBEDDING_BITS = 6
_MEASURING = ("target_bpw", "calibration_samples", "calibration_text")
_TUNING = ("aggressive", "mixed_precision", "embedding_bits", *_MEASURING)


@frozen(kw_only=True)
class Recipe:
    scheme: Scheme
    group_size: int
    embedding_bits: int | None = None
    """Of the token embedding and the output layer, where those differ from the body's."""
    target_bpw: float | None = None
    """Raise the layers with the largest errors up to so many bits per weight; None raises nothing."""
    named_target: bool = False
    """Whether somebody has asked for those bits."""
    next: str | None = None
    """What to try when this measures too bad."""

    @property
    def uniform(self) -> bool:
        return self.embedding_bits is None and self.target_bpw is None and self.scheme.recipe is None


def find_recipe(job: QuantizeJob) -> Recipe:
    """The recipe of a job.

    Raises:
        UsageError: an unknown scheme, or an option that contradicts it, has no effect on it, or makes no sense.
    """
    scheme = SCHEMES.get(job.scheme)
    if scheme is None:
        raise UsageError(
            f"There is no MLX scheme {job.scheme!r}.", f"There are {', '.join(SCHEMES)}.", "--precision 4bit"
        )
    given = [name for name in (*_TUNING, "group_size") if getattr(job, name) not in (None, False)]
    group_size = _group_size(job, scheme)
    if scheme.dtype is not None or scheme.recipe is not None or scheme.mode != "affine":
        for name in given:
            if name != "group_size":
                raise NoEffect(f"{FLAGS[name]} has no effect on {scheme.name}.", _fixed(scheme), "Leave it out.")
        return Recipe(scheme=scheme, group_size=group_size, next=scheme.next)
    if job.embedding_bits is not None and job.embedding_bits not in BITS:
        raise UsageError(f"--embedding-bits {job.embedding_bits} cannot be made.", "", f"Give one of {_listed(BITS)}.")
    _check_calibration(job)
    assert scheme.bits is not None
    if job.aggressive:
        if scheme.name != "4bit":
            raise NoEffect(
                f"--aggressive has no effect on {scheme.name}.",
                "All of its layers are alike: only 4bit has a recipe of several precisions.",
                "Leave it out.",
            )
        _refuse_with(
            job,
            "aggressive",
            ("mixed_precision", "embedding_bits", *_MEASURING),
            "makes all layers alike, and so does the profile ultra, which means it",
        )
        return Recipe(scheme=scheme, group_size=group_size, next="4bit" if scheme.name == "4bit" else scheme.next)
    bits = job.embedding_bits
    if job.mixed_precision:
        if scheme.bits >= _EMBEDDING_BITS:
            raise NoEffect(
                f"--mixed-precision has no effect on {scheme.name}.",
                f"It gives {_EMBEDDING_BITS} bits to the token embedding and the output layer, which have as many.",
                "Leave it out.",
            )
        _refuse_with(job, "mixed_precision", _MEASURING, "is made exactly as asked, and nothing is raised")
        next_one = scheme.name if scheme.name == "4bit" else scheme.next
        return Recipe(
            scheme=scheme,
            group_size=group_size,
            embedding_bits=max(scheme.bits, _EMBEDDING_BITS) if bits is None else bits,
            next=next_one,
        )
    if scheme.name != "4bit" and job.target_bpw is None:
        for name in ("calibration_samples", "calibration_text"):
            if name in given:
                raise NoEffect(
                    f"{FLAGS[name]} has no effect on {scheme.name}.",
                    "A text tells which layers to raise, and nothing is raised.",
                    "Add --target-bpw, or leave it out.",
                )
        return Recipe(scheme=scheme, group_size=group_size, embedding_bits=bits, next=scheme.next)
    target = TARGET_BPW if job.target_bpw is None else job.target_bpw
    if not math.isfinite(target) or not scheme.bits < target <= 16:
        raise UsageError(
            f"--target-bpw {target:g} makes no sense for {scheme.name}.", "", f"Give more than {scheme.bits}, up to 16."
        )
    return Recipe(
        scheme=scheme,
        group_size=group_size,
        embedding_bits=max(scheme.bits, _EMBEDDING_BITS) if bits is None else bits,
        target_bpw=target,
        named_target=job.target_bpw is not None,
        next=scheme.next,
    )


def _group_size(job: QuantizeJob, scheme: Scheme) -> int:
    size = job.group_size
    if size is None:
        return scheme.group_size
    if scheme.dtype is not None:
        raise NoEffect(f"--group-size has no effect on {scheme.name}.", _fixed(scheme), "Leave it out.")
    if scheme.mode != "affine" and size != scheme.group_size:
        raise UsageError(
            f"--group-size {size} cannot be had with {scheme.name}.",
            f"Its groups are always of {scheme.group_size}.",
            "Leave it out.",
        )
    if scheme.mode == "affine" and size not in GROUP_SIZES:
        raise UsageError(f"--group-size {size} cannot be made.", "", f"Give one of {_listed(GROUP_SIZES)}.")
    return size


def _fixed(scheme: Scheme) -> str:
    if scheme.dtype is not None:
        return "Nothing is quantized."
    return f"{scheme.name} is a recipe of mlx-lm's." if scheme.recipe else f"{scheme.name} is one format for all."


def _check_calibration(job: QuantizeJob) -> None:
    if job.calibration_samples is not None and job.calibration_samples < 1:
        raise UsageError(
            f"--calibration-samples {job.calibration_samples} makes no sense.", "", "Give 128, or 1 at least."
        )


def _refuse_with(job: QuantizeJob, option: str, others: tuple[str, ...], why: str) -> None:
    for name in others:
        if getattr(job, name) not in (None, False):
            raise UsageError(
                f"{FLAGS[option]} and {FLAGS[name]} contradict each other.",
                f"What {FLAGS[option]} makes {why}." if option == "mixed_precision" else f"{FLAGS[option]} {why}.",
                "Leave one of them out.",
            )


def _listed(numbers: tuple[int, ...]) -> str:
    return ", ".join(str(number) for number in numbers)
