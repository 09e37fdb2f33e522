"""The table of schemes, held against the installed engine."""

from __future__ import annotations

import ctypes

import pytest

from pajamas.errors import UsageError
from pajamas.gguf_header import GGML_TYPES
from pajamas_gguf.schemes import ALIASES, BLOCKS, CALIBRATED, SCHEMES, TYPE_IDS, find_scheme, find_tensor_type


def test_every_ftype_is_the_engines_own():
    import llama_cpp

    for scheme in SCHEMES.values():
        prefix = "ALL" if scheme.name == "F32" else "MOSTLY"
        assert getattr(llama_cpp, f"LLAMA_FTYPE_{prefix}_{scheme.name}") == scheme.ftype


def test_no_ftype_that_the_quantizer_offers_is_missing():
    import llama_cpp

    engine = {name.split("_", 3)[3] for name in dir(llama_cpp) if name.startswith("LLAMA_FTYPE_MOSTLY_")} | {"F32"}
    # The engine loads NVFP4 files, but its quantizer does not make them.
    assert engine - {"NVFP4"} == set(SCHEMES)


def test_every_tensor_type_is_the_engines_own():
    from llama_cpp._ggml import libggml

    libggml.ggml_type_name.restype = ctypes.c_char_p
    libggml.ggml_type_size.restype = ctypes.c_size_t
    libggml.ggml_blck_size.restype = ctypes.c_int64

    for number, (name, block, size) in GGML_TYPES.items():
        assert libggml.ggml_type_name(number).decode().upper() == name
        assert (libggml.ggml_blck_size(number), libggml.ggml_type_size(number)) == (block, size)
        assert (TYPE_IDS[name], BLOCKS[name]) == (number, block)


@pytest.mark.parametrize(
    ("text", "name"),
    [("q4_k_m", "Q4_K_M"), ("Q4_K", "Q4_K_M"), ("iq4_Nl", "IQ4_NL"), (" bf16 ", "BF16"), ("q3_k", "Q3_K_M")],
)
def test_names_in_any_case(text, name):
    assert find_scheme(text).name == name


def test_an_alias_names_a_scheme():
    assert set(ALIASES.values()) <= set(SCHEMES)
    assert not set(ALIASES) & set(SCHEMES)


def test_an_unknown_scheme_names_a_close_one():
    with pytest.raises(UsageError, match="Did you mean Q4_K_M"):
        find_scheme("q4km")


def test_schemes_that_need_an_importance_matrix():
    assert {"IQ2_XXS", "IQ3_XS", "Q2_K_S", "IQ1_M", "IQ2_M"} <= CALIBRATED
    assert not CALIBRATED & {"Q2_K", "IQ3_S", "IQ4_XS"}


def test_bits_of_the_type():
    assert find_scheme("Q4_K_M").bits == 4.5
    assert find_scheme("Q6_K").bits == 6.5625
    assert find_scheme("BF16").bits == 16


def test_tensor_types():
    assert find_tensor_type("q6_k", "--tensor-type") == "Q6_K"
    with pytest.raises(UsageError, match="--tensor-type: there is no tensor type 'q6_m'"):
        find_tensor_type("q6_m", "--tensor-type")
    with pytest.raises(UsageError):
        find_tensor_type("Q8_K", "--tensor-type")
    with pytest.raises(UsageError, match="needs an importance matrix"):
        find_tensor_type("iq1_s", "--tensor-type")
    assert find_tensor_type("iq1_s", "--tensor-type", weighted=True) == "IQ1_S"
