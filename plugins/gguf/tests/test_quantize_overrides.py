"""Types of single tensors: what is asked is honoured or refused."""

from __future__ import annotations

import pytest

from pajamas.errors import UsageError
from pajamas_gguf.quantize.pipeline import quantize
from quantize_jobs import make_job, types_of, write_llama


@pytest.fixture(scope="module")
def untied(tmp_path_factory):
    return write_llama(tmp_path_factory.mktemp("source") / "untied.gguf", width=256, tied=False)


@pytest.fixture(scope="module")
def tied(tmp_path_factory):
    return write_llama(tmp_path_factory.mktemp("source") / "tied.gguf", width=256)


def test_types_of_single_tensors(untied, tmp_path):
    output = tmp_path / "out.gguf"
    overrides = (("attn_v", "q8_0"), (r"blk\.0\.attn_.*", "Q5_1"), ("ffn_up|ffn_gate", "f16"))

    quantize(make_job(untied, output, "Q4_K_M", tensor_types=overrides, embedding_type="q6_k", output_type="bf16"))

    types = types_of(output)
    assert types["blk.0.attn_v.weight"] == "Q8_0"  # the first that matches wins
    assert types["blk.0.attn_q.weight"] == "Q5_1"
    assert types["blk.0.ffn_up.weight"] == types["blk.0.ffn_gate.weight"] == "F16"
    assert types["token_embd.weight"] == "Q6_K"
    assert types["output.weight"] == "BF16"
    assert types["blk.0.attn_norm.weight"] == "F32"


@pytest.mark.parametrize("scheme", ["Q4_K_M", "F16"])
def test_the_output_type_of_tied_embeddings(scheme, tied, tmp_path):
    quantize(make_job(tied, tmp_path / "out.gguf", scheme, output_type="Q8_0"))

    assert types_of(tmp_path / "out.gguf")["token_embd.weight"] == "Q8_0"


def test_two_types_for_one_tensor_are_refused(tied, tmp_path):
    with pytest.raises(UsageError, match="different types for one tensor"):
        quantize(make_job(tied, tmp_path / "out.gguf", output_type="Q8_0", embedding_type="Q6_K"))


def test_an_override_that_its_width_does_not_allow_is_told(tmp_path):
    source = write_llama(tmp_path / "narrow.gguf", width=96)

    artifact = quantize(
        make_job(source, tmp_path / "out.gguf", "Q8_0", tensor_types=(("attn_q", "q6_k"),), dry_run=True)
    )

    found = {tensor.name: (tensor.wanted, tensor.type) for tensor in artifact.tensors}
    assert found["blk.0.attn_q.weight"] == ("Q6_K", "Q8_0")
    with pytest.raises(UsageError, match="96 wide, and Q6_K needs a multiple of 256"):
        quantize(make_job(source, tmp_path / "out.gguf", embedding_type="q6_k", dry_run=True))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ((("attn_x", "q8_0"),), "--tensor-type attn_x=Q8_0 matches no tensor"),
        ((("attn_norm", "q8_0"),), "attn_norm=Q8_0 has no effect"),
        ((("attn", "q8_0"), ("attn_v", "q6_k")), "attn_v=Q6_K has no effect"),
        ((("attn_(", "q8_0"),), "is no regular expression"),
        ((("(?i)ATTN", "q8_0"),), "is not ECMAScript"),
        ((("[[:alpha:]]", "q8_0"),), "(?i)nested set"),
        ((("", "q8_0"),), "It is empty"),
        ((("attn", "q8_9"),), "there is no tensor type 'q8_9'"),
        ((("attn", "q8_k"),), "there is no tensor type 'q8_k'"),
    ],
)
def test_bad_overrides_are_refused(overrides, message, untied, tmp_path):
    with pytest.raises(UsageError, match=message):
        quantize(make_job(untied, tmp_path / "out.gguf", tensor_types=overrides, dry_run=True))


def test_overrides_that_need_an_importance_matrix_are_refused(untied, tmp_path):
    for kind in ("iq2_xxs", "iq3_xxs", "iq1_m"):
        with pytest.raises(UsageError, match="importance matrix"):
            quantize(make_job(untied, tmp_path / "out.gguf", tensor_types=(("attn_q", kind),), dry_run=True))


def test_patterns_have_no_effect_on_16_bit_schemes(untied, tmp_path):
    with pytest.raises(UsageError, match="no effect on F16"):
        quantize(make_job(untied, tmp_path / "out.gguf", "F16", tensor_types=(("attn_q", "q8_0"),)))


def test_what_only_the_engine_finds_wrong_is_an_error_too(tied, tmp_path):
    # A lone brace is itself in Python, and an error in std::regex.
    with pytest.raises(UsageError, match="cannot read"):
        quantize(make_job(tied, tmp_path / "out.gguf", tensor_types=(("attn_q|x{", "q8_0"),), dry_run=True))
