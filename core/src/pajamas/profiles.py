"""Profiles and precision strings: from what a person asks for to one scheme for each format."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from attrs import frozen

from pajamas.errors import UnsupportedFeature, UsageError

if TYPE_CHECKING:
    from pajamas.types import BackendInfo


@frozen(kw_only=True)
class Profile:
    """A balance of size and quality, with the largest losses that it accepts."""

    name: str
    schemes: dict[str, str]
    """Format to scheme."""
    threshold: float
    """Per cent of perplexity above the 16-bit original."""
    divergence: float
    """Largest accepted mean KL divergence from it, in nats."""


PROFILES = {
    profile.name: profile
    for profile in (
        Profile(name="balanced", schemes={"gguf": "Q4_K_M", "mlx": "4bit"}, threshold=5.0, divergence=0.10),
        Profile(name="ultra", schemes={"gguf": "Q3_K_M", "mlx": "4bit"}, threshold=12.0, divergence=0.25),
        Profile(name="hq", schemes={"gguf": "Q6_K", "mlx": "8bit"}, threshold=2.0, divergence=0.02),
    )
}
_INFERRED = {"q4_k_m": "balanced", "4bit": "balanced", "q3_k_m": "ultra", "q6_k": "hq", "8bit": "hq"}


@frozen(kw_only=True)
class Target:
    """One artifact to make."""

    format: str
    scheme: str
    profile: Profile | None
    """None: the scheme has no threshold, and the verdict is "measured, not judged"."""
    aggressive: bool = False


def read_formats(formats: str | Sequence[str]) -> list[str]:
    """The formats of `"gguf,mlx"`, or of a sequence of them."""
    return [part.strip() for part in formats.split(",") if part.strip()] if isinstance(formats, str) else list(formats)


def resolve_targets(
    formats: Sequence[str],
    precision: str | None = None,
    profile: str | None = None,
    aggressive: bool = False,
    *,
    backends: Mapping[str, BackendInfo] | None = None,
) -> list[Target]:
    """One target for each format.

    `precision` holds one scheme for each format, in their order, separated by colons (`q4_k_m:4bit`). Without it the
    profile decides, `balanced` where none is named and `ultra` with `aggressive`. With it a profile that is named says
    what is accepted, and which recipe is meant where the scheme has several: MLX's `4bit` with `ultra` is the uniform
    one. `aggressive` never changes a GGUF scheme that was named. `backends` holds, by format, what the backend that
    makes it says of itself: how it spells its schemes, and which of them a profile means.

    Raises:
        UsageError: unknown profile or scheme, a format twice, another number of schemes than of formats, or
            `aggressive` with a profile that is not aggressive.
        UnsupportedFeature: the backend cannot make the scheme, or makes no artifacts.
    """
    infos = backends or {}
    if not formats or len(set(formats)) != len(formats):
        raise UsageError(f"Formats {','.join(formats)!r} make no sense.", "Name each format once.", "--formats gguf")
    if profile is not None and profile not in PROFILES:
        raise UsageError(f"There is no profile {profile!r}.", f"Profiles: {', '.join(PROFILES)}.", "--profile balanced")
    if aggressive and profile not in (None, "ultra"):
        raise UsageError(
            f"--aggressive and --profile {profile} contradict each other.",
            "The aggressive recipe is the one of the profile ultra.",
            "Leave one of them out.",
        )
    if precision is None:
        chosen = PROFILES[profile or ("ultra" if aggressive else "balanced")]
        return [
            Target(
                format=format,
                scheme=_spelled(_scheme_of(chosen, format, infos.get(format)), format, infos.get(format)),
                profile=chosen,
                aggressive=_uniform(chosen, format),
            )
            for format in formats
        ]
    named = [scheme.strip() for scheme in precision.split(":")]
    if len(named) != len(formats) or not all(named):
        raise UsageError(
            f"Precision {precision!r} does not match the formats {','.join(formats)!r}.",
            f"It names {len(named)} scheme(s) for {len(formats)} format(s).",
            "Give one scheme a format, in their order: --formats gguf,mlx --precision q4_k_m:4bit",
        )
    schemes = [_spelled(scheme, format, infos.get(format)) for format, scheme in zip(formats, named, strict=True)]
    return [
        Target(
            format=format,
            scheme=scheme,
            profile=PROFILES[profile] if profile else _inferred(format, scheme, aggressive, infos.get(format)),
            aggressive=format != "gguf" and (aggressive or _means(profile, format, scheme, infos.get(format))),
        )
        for format, scheme in zip(formats, schemes, strict=True)
    ]


def _spelled(scheme: str, format: str, info: BackendInfo | None) -> str:
    """The scheme as the backend spells it; as the format's users do where no backend is asked."""
    if info is None:
        return scheme.upper() if format == "gguf" else scheme.lower()
    if not info.schemes:
        raise UnsupportedFeature(
            f"Backend {info.name!r} makes no artifacts.", "It declares no scheme.", "Name another one with --backend."
        )
    wanted = scheme.lower()
    known = {name.lower(): name for name in info.schemes}
    known |= {name.lower(): meant for name, meant in info.scheme_aliases.items()}
    if wanted in known:
        return known[wanted]
    for name, reason in info.refused_schemes.items():
        if name.lower() == wanted:
            raise UnsupportedFeature(
                f"Backend {info.name!r} cannot make {name}.", reason, f"It makes: {', '.join(info.schemes)}."
            )
    near = list(dict.fromkeys(known[name] for name in difflib.get_close_matches(wanted, known)))
    usual = PROFILES["balanced"].schemes.get(format, info.schemes[0])
    raise UsageError(
        f"Backend {info.name!r} has no scheme {scheme!r}.",
        f"It makes: {', '.join(info.schemes)}.",
        f"Did you mean {' or '.join(near)}?" if near else f"For example --precision {usual.lower()}",
    )


def _scheme_of(profile: Profile, format: str, info: BackendInfo | None) -> str:
    own = info.profile_schemes.get(format, {}) if info else {}
    schemes = {**profile.schemes, **({format: own[profile.name]} if profile.name in own else {})}
    if format not in schemes:
        raise UsageError(
            f"Profile {profile.name!r} has no scheme for the format {format!r}.",
            f"Profiles know {', '.join(profile.schemes)}.",
            f"Name the scheme with --precision{': ' + ', '.join(info.schemes) if info and info.schemes else ''}.",
        )
    return schemes[format]


def _means(profile: str | None, format: str, scheme: str, info: BackendInfo | None) -> bool:
    """Whether a scheme that was named together with its profile is the profile's uniform one."""
    chosen = PROFILES[profile] if profile else None
    if chosen is None or not _uniform(chosen, format):
        return False
    return scheme == _spelled(_scheme_of(chosen, format, info), format, info)


def _uniform(profile: Profile, format: str) -> bool:
    """The ultra profile's MLX recipe is the uniform one."""
    return profile.name == "ultra" and format == "mlx"


def _inferred(format: str, scheme: str, aggressive: bool, info: BackendInfo | None) -> Profile | None:
    if aggressive and format != "gguf":
        return PROFILES["ultra"] if scheme.lower() == "4bit" else None
    own = info.profile_schemes.get(format, {}) if info else {}
    name = _INFERRED.get(scheme.lower()) or next((name for name, meant in own.items() if meant == scheme), None)
    return PROFILES[name] if name else None
