"""Hugging Face configs and headers of released models: what they are, exactly."""

import json

import pytest

from known_models import LLAMA_31_8B, MISTRAL_7B_03, QWEN3_8B, detected, gpt_oss_tensors, hf_tensors, real_config


def test_qwen3_8b(tmp_path, shared, write_model):
    config = real_config(shared, "qwen3-8B.config.json")

    found = detected(write_model(tmp_path, config, hf_tensors(config, qk_norm=True), shards=5))

    assert found == QWEN3_8B


def test_qwen3_30b_a3b(tmp_path, shared, write_model):
    config = real_config(shared, "qwen3-30B-A3B.config.json")

    found = detected(write_model(tmp_path, config, hf_tensors(config, qk_norm=True, experts=128), shards=16))

    assert (found.num_experts, found.num_active_experts, found.expert_intermediate_size) == (128, 8, 768)
    assert found.parameters == 30_532_122_624
    assert found.active_parameters == 3_353_032_704
    assert found.non_embedding_parameters == 30_532_122_624 - 2 * 151936 * 2048
    assert (found.native_context_length, found.extended_context_length) == (32768, 131072)
    assert found.convertible


@pytest.mark.parametrize(("mxfp4", "dtype"), [(True, "mxfp4"), (False, "bfloat16")])
def test_gpt_oss_20b(tmp_path, shared, write_model, mxfp4, dtype):
    config = real_config(shared, "gpt-oss-20b.NO-quantization_config.config.json")

    found = detected(write_model(tmp_path, config, gpt_oss_tensors(config, mxfp4), shards=3))

    assert found.parameters == 20_914_757_184
    assert found.active_parameters == 4_187_440_704
    assert found.dtype == dtype
    assert (found.rope_scaling, found.native_context_length, found.extended_context_length) == ("yarn", 4096, 131072)
    assert (found.sliding_window, found.head_dim, found.convertible) == (128, 64, False)


def test_phi_4(tmp_path, shared, write_model):
    config = real_config(shared, "phi-4.config.json")

    found = detected(write_model(tmp_path, config, hf_tensors(config, fused=True), shards=6))

    assert found.parameters == 14_659_507_200
    assert (found.family, found.context_length, found.native_context_length) == ("Phi-3/Phi-4", 16384, 16384)
    assert found.extended_context_length is None
    assert found.convertible


def test_llama_31_8b(tmp_path, write_model):
    found = detected(write_model(tmp_path, LLAMA_31_8B, hf_tensors(LLAMA_31_8B), shards=4))

    assert found.parameters == 8_030_261_248
    assert (found.rope_scaling, found.native_context_length, found.extended_context_length) == ("llama3", 8192, 131072)
    assert (found.context_source, found.head_dim, found.attention_type) == ("config", 128, "gqa")


def test_mistral_7b(tmp_path, write_model):
    found = detected(write_model(tmp_path, MISTRAL_7B_03, hf_tensors(MISTRAL_7B_03)))

    assert found.parameters == 7_248_023_552
    assert (found.family, found.sliding_window, found.context_source) == ("Mistral", None, "not stated")


@pytest.mark.parametrize(
    "name",
    ["qwen3-8B", "qwen3-30B-A3B", "gpt-oss-20b.NO-quantization_config", "phi-4", "gemma-3-1b-it"],
)
def test_config_alone_gives_the_same_counts_as_the_tensors(tmp_path, shared, name):
    config = real_config(shared, f"{name}.config.json")
    (tmp_path / "config.json").write_text(json.dumps(config))

    assert (
        detected(tmp_path).parameters
        == {
            "qwen3": 8_190_735_360,
            "qwen3_moe": 30_532_122_624,
            "gpt_oss": 20_914_757_184,
            "phi3": 14_659_507_200,
            "gemma3_text": 999_885_952,
        }[config["model_type"]]
    )


def test_gemma_ties_its_embeddings_where_the_config_does_not_say(shared, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(real_config(shared, "gemma-3-1b-it.config.json")))

    found = detected(tmp_path)

    assert (found.tied_embeddings, found.attention_type, found.sliding_window) == (True, "mqa", 512)
