"""What the converter says about models that llama.cpp runs otherwise, and what a config cannot talk it into."""

from __future__ import annotations

import pytest

from pajamas.gguf_header import read_header
from pajamas.modelfiles import LocalFiles
from pajamas_gguf.convert import converter
from random_model_configs import MODELS
from random_models import convert_folder, make_model

YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}


def changed(name, tmp_path, **config):
    model = MODELS[name]
    return make_model(name, tmp_path, {**model, "config": {**model["config"], **config}})


@pytest.mark.parametrize(
    ("name", "config", "said"),
    [
        ("Mistral-7B-Instruct-v0.3", {"sliding_window": 4096, "max_position_embeddings": 32768}, "4,096 tokens"),
        ("Qwen2.5-0.5B-Instruct", {"use_sliding_window": True, "sliding_window": 512}, "512 tokens"),
        ("phi-4", {"sliding_window": 100}, "100 tokens"),
        ("Phi-4-mini-instruct", {}, "more than 4,096 tokens"),
        ("Qwen3-30B-A3B", {"norm_topk_prob": False}, "norm_topk_prob"),
        ("Qwen2.5-yarn-7B", {"rope_scaling": {**YARN, "attention_factor": 1.5}}, "1.139, not with 1.5"),
    ],
)
def test_what_llama_cpp_computes_otherwise_is_said(name, config, said, tmp_path):
    folder = changed(name, tmp_path, **config)

    for function in (converter.convert, converter.write_header_only):
        (note,) = convert_folder(folder, tmp_path / "out.gguf", function=function).notes
        assert said in note


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("Mistral-7B-Instruct-v0.3", {"sliding_window": None}),
        ("Qwen2.5-0.5B-Instruct", {"use_sliding_window": False, "sliding_window": 512}),
        ("Llama-3.1-8B-Instruct", {"sliding_window": 16}),  # transformers' Llama does not look at it
        ("Qwen3-30B-A3B", {}),
        ("Qwen2.5-yarn-7B", {"rope_scaling": {**YARN, "attention_factor": 1.1386}}),
    ],
)
def test_nothing_is_said_without_need(name, config, tmp_path):
    assert convert_folder(changed(name, tmp_path, **config), tmp_path / "out.gguf").notes == ()


@pytest.mark.parametrize("name", ["Qwen2.5-0.5B-Instruct", "phi-4", "Mistral-7B-Instruct-v0.3"])
def test_bias_flags_that_transformers_does_not_heed_ask_for_no_tensors(name, tmp_path):
    plain = make_model(name, tmp_path)
    # Weights are made from the config, so it is changed afterwards: it states biases that these families never have.
    config = (plain / "config.json").read_text(encoding="utf-8")
    wanted = convert_folder(plain, tmp_path / "plain.gguf").path.read_bytes()
    stated = config.replace('"model_type"', '"attention_bias": true, "mlp_bias": true, "model_type"', 1)
    (plain / "config.json").write_text(stated, encoding="utf-8")

    assert convert_folder(plain, tmp_path / "stated.gguf").path.read_bytes() == wanted


def test_several_licenses(tmp_path):
    folder = make_model("Qwen3-0.6B", tmp_path, {**MODELS["Qwen3-0.6B"], "card": "license: [mit, apache-2.0, 7]"})

    metadata = read_header(LocalFiles(convert_folder(folder, tmp_path / "out.gguf").path), "out.gguf").metadata
    assert metadata["general.license"] == "mit,apache-2.0,7"  # llama.cpp's converter joins them with a comma too
