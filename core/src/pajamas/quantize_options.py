"""The options of `QuantizeJob` that a backend honours only if it says so (`BackendInfo.quantize_options`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import fields_dict

from pajamas.errors import UnsupportedFeature, UsageError
from pajamas.types import BackendInfo, QuantizeJob

if TYPE_CHECKING:
    from attrs import Attribute

FLAGS = {
    "threads": "--threads",
    "outtype": "--outtype",
    "tensor_types": "--tensor-type",
    "embedding_type": "--token-embedding-type",
    "output_type": "--output-tensor-type",
    "aggressive": "--aggressive",
    "keep_16bit": "--keep-16bit",
    "converter": "--converter",
    "calibration_samples": "--calibration-samples",
    "calibration_text": "--calibration-text",
    "imatrix": "--imatrix",
    "keep_imatrix": "--keep-imatrix",
    "mixed_precision": "--mixed-precision",
    "embedding_bits": "--embedding-bits",
    "group_size": "--group-size",
    "target_bpw": "--target-bpw",
}
"""Fields of `QuantizeJob` to their names on the command line."""


class NoEffect(UsageError):
    """A backend honours an option, and this scheme has no use for it. Of several formats, others may take it."""


def given(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Those that are not at their defaults."""
    defaults: Mapping[str, Attribute[Any]] = fields_dict(QuantizeJob)
    return tuple(name for name in FLAGS if name in options and options[name] != defaults[name].default)


def refuse_unknown(options: Mapping[str, Any], infos: Sequence[BackendInfo]) -> None:
    """Raises UnsupportedFeature for an option that none of the backends honours."""
    for name in given(options):
        if not any(name in info.quantize_options for info in infos):
            makers = " and ".join(sorted({info.name for info in infos}))
            known = sorted({FLAGS[option] for info in infos for option in info.quantize_options})
            raise UnsupportedFeature(
                f"{makers} cannot honour {FLAGS[name]}.",
                f"Of the options of quantization it knows: {', '.join(known)}."
                if known
                else "It knows no such option.",
                "Leave the option out.",
            )


def honoured(options: Mapping[str, Any], info: BackendInfo) -> dict[str, Any]:
    """The options that this backend knows: of several formats each takes what is meant for it."""
    return {name: value for name, value in options.items() if name in info.quantize_options}


def options_of(job: QuantizeJob) -> dict[str, Any]:
    return {name: getattr(job, name) for name in FLAGS}
