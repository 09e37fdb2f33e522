"""The quantization schemes that llama.cpp's quantizer offers, by name.

Source: QUANT_OPTIONS of llama.cpp's tools/quantize/quantize.cpp and enum llama_ftype of its include/llama.h, as of
llama-cpp-python 0.3.36. Its COPY is left out: it names no type.
"""

from __future__ import annotations

import difflib

from attrs import frozen

from pajamas.errors import UsageError
from pajamas.gguf_header import GGML_TYPES

TYPE_IDS = {name: number for number, (name, _, _) in GGML_TYPES.items()}
"""Tensor type name, as `TensorInfo.type` has it, to its number in enum ggml_type."""

BLOCKS = {name: block for name, block, _ in GGML_TYPES.values()}
"""Tensor type name to the number of weights in one block: a row's width must be a multiple of it."""

WIDE_TYPES = frozenset({"F32", "F16", "BF16"})
"""The types that are not quantized."""

_UNWRITABLE = frozenset({"Q8_1", "Q8_K", "I8", "I16", "I32", "I64", "F64"})
TENSOR_TYPES = frozenset(TYPE_IDS) - _UNWRITABLE
"""The types that the quantizer can give to a tensor (ggml_quantize_chunk)."""


UNWEIGHTED = WIDE_TYPES | {"Q8_0", "Q2_0", "Q1_0", "TQ1_0", "TQ2_0", "MXFP4", "NVFP4"}
"""The types for which the quantizer does not look at an importance matrix (ggml/src/ggml-quants.c)."""

WEIGHTED_ONLY = frozenset({"IQ2_XXS", "IQ2_XS", "IQ1_S"})
"""The types that ggml aborts at without one (ggml_quantize_requires_imatrix)."""

WEIGHTED_BODY = WEIGHTED_ONLY | {"IQ3_XXS", "IQ2_S", "IQ1_M"}
"""The types that the quantizer refuses without one except for embedding and output layer (tensor_requires_imatrix)."""


@frozen(kw_only=True)
class Scheme:
    """One recipe of the quantizer."""

    name: str
    ftype: int
    """Number in enum llama_ftype; stands in the file as `general.file_type`."""
    tensor_type: str
    """The type of most tensors; a mix such as Q4_K_M gives some of them a wider one."""
    needs_imatrix: bool = False

    @property
    def quantized(self) -> bool:
        return self.tensor_type not in WIDE_TYPES

    @property
    def bits(self) -> float:
        """Bits of one weight in a tensor of `tensor_type`; a whole file has somewhat more."""
        _, block, size = GGML_TYPES[TYPE_IDS[self.tensor_type]]
        return 8 * size / block


def _scheme(name: str, ftype: int, tensor_type: str | None = None, *, imatrix: bool = False) -> Scheme:
    return Scheme(name=name, ftype=ftype, tensor_type=tensor_type or name, needs_imatrix=imatrix)


# The matrix is needed wherever the recipe holds a type of tensor_requires_imatrix (src/llama-quant.cpp): IQ3_XS by its
# query and key weights, Q2_K_S by name.
SCHEMES = {
    scheme.name: scheme
    for scheme in (
        _scheme("F32", 0),
        _scheme("F16", 1),
        _scheme("BF16", 32),
        _scheme("Q8_0", 7),
        _scheme("Q6_K", 18),
        _scheme("Q5_K_M", 17, "Q5_K"),
        _scheme("Q5_K_S", 16, "Q5_K"),
        _scheme("Q5_1", 9),
        _scheme("Q5_0", 8),
        _scheme("Q4_K_M", 15, "Q4_K"),
        _scheme("Q4_K_S", 14, "Q4_K"),
        _scheme("Q4_1", 3),
        _scheme("Q4_0", 2),
        _scheme("IQ4_NL", 25),
        _scheme("IQ4_XS", 30),
        _scheme("MXFP4_MOE", 38, "MXFP4"),
        _scheme("Q3_K_L", 13, "Q3_K"),
        _scheme("Q3_K_M", 12, "Q3_K"),
        _scheme("Q3_K_S", 11, "Q3_K"),
        _scheme("IQ3_M", 27, "IQ3_S"),
        _scheme("IQ3_S", 26),
        _scheme("IQ3_XS", 22, "IQ3_S", imatrix=True),
        _scheme("IQ3_XXS", 23, imatrix=True),
        _scheme("Q2_K", 10),
        _scheme("Q2_K_S", 21, "Q2_K", imatrix=True),
        _scheme("Q2_0", 41),
        _scheme("IQ2_M", 29, "IQ2_S", imatrix=True),
        _scheme("IQ2_S", 28, "IQ2_XS", imatrix=True),
        _scheme("IQ2_XS", 20, imatrix=True),
        _scheme("IQ2_XXS", 19, imatrix=True),
        _scheme("TQ2_0", 37),
        _scheme("TQ1_0", 36),
        _scheme("IQ1_M", 31, imatrix=True),
        _scheme("IQ1_S", 24, imatrix=True),
        _scheme("Q1_0", 40),
    )
}
"""Every scheme by its name, widest first."""

ALIASES = {"Q3_K": "Q3_K_M", "Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M", "FP32": "F32", "FP16": "F16"}

CALIBRATED = frozenset(scheme.name for scheme in SCHEMES.values() if scheme.needs_imatrix)
"""The names of the schemes that need an importance matrix."""


def find_scheme(name: str) -> Scheme:
    """The scheme of that name or alias, in upper or lower case.

    Raises:
        UsageError: there is no such scheme.
    """
    wanted = name.strip().upper()
    scheme = SCHEMES.get(ALIASES.get(wanted, wanted))
    if scheme is None:
        close = difflib.get_close_matches(wanted, [*SCHEMES, *ALIASES], n=1)
        fix = f"Did you mean {close[0]}?" if close else "Q4_K_M is a good first choice."
        raise UsageError(f"There is no GGUF scheme {name!r}.", f"llama.cpp offers {', '.join(SCHEMES)}.", fix)
    return scheme


def find_tensor_type(name: str, option: str, *, weighted: bool = False) -> str:
    """The tensor type of that name, in upper or lower case; `option` is where it was asked for, for the message.

    :param weighted: there will be an importance matrix.

    Raises:
        UsageError: there is no such type, no tensor can be written in it, or it needs an importance matrix.
    """
    wanted = name.strip().upper()
    if wanted not in TENSOR_TYPES:
        close = difflib.get_close_matches(wanted, sorted(TENSOR_TYPES), n=1)
        fix = f"Did you mean {close[0]}?" if close else ""
        raise UsageError(f"{option}: there is no tensor type {name!r}.", f"Types: {_listed(TENSOR_TYPES)}.", fix)
    if wanted in WEIGHTED_ONLY and not weighted:
        raise needs_imatrix(wanted)
    return wanted


def needs_imatrix(what: str) -> UsageError:
    return UsageError(
        f"{what} needs an importance matrix.",
        "At so few bits the weights must be weighted by what the model does with them, or the result is garbage.",
        "Add --calibration-samples 512, or a ready one: --imatrix FILE.",
    )


def _listed(types: frozenset[str]) -> str:
    return ", ".join(sorted(types, key=TYPE_IDS.__getitem__))
