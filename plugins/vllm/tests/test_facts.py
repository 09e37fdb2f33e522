"""What a folder is taken for, before vLLM is imported: it need not be here."""

from __future__ import annotations

import json
import shutil

import pytest

from pajamas.errors import ModelFileError, NotEnoughMemory, UnsupportedModel
from pajamas_vllm.session.facts import read_facts
from pajamas_vllm.session.parameters import check_memory
from questions import TINY


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(TINY, tmp_path / "model", ignore=shutil.ignore_patterns("*.jsonl", "*.toml"))
    return tmp_path / "model"


def edit(folder, name="config.json", **values):
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_plain_folder_is_what_its_config_says(folder):
    edit(folder, "generation_config.json", temperature=0.7, top_k=20, top_p=float("nan"), min_p=True)
    facts = read_facts(folder)

    assert (facts.quantization, facts.architecture.model_type, facts.size) == (None, "qwen3", 8394240)
    sampling = facts.default_sampling
    assert (sampling.temperature, sampling.top_k, sampling.top_p, sampling.min_p) == (0.7, 20, None, None)


@pytest.mark.parametrize("method", ["compressed-tensors", "awq", "gptq", "fp8"])
def test_quantized_folders_are_taken_by_what_their_config_claims(folder, method):
    edit(folder, quantization_config={"quant_method": method, "bits": 4})

    assert read_facts(folder).quantization == method


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"quantization_config": {"quant_method": "bitsandbytes"}}, "bitsandbytes"),
        ({"quantization_config": "int4"}, "not known here"),
        ({"quantization_config": {"quant_method": ["awq"]}}, "not known here"),
        ({"quantization": {"bits": 4, "group_size": 64}}, "quantized for MLX"),
    ],
)
def test_other_quantizations_are_refused_by_name(folder, values, words):
    edit(folder, **values)

    with pytest.raises(UnsupportedModel, match=words):
        read_facts(folder)


@pytest.mark.parametrize(
    ("name", "words"),
    [("config.json", "no config.json"), ("model.safetensors", "weights"), ("tokenizer.json", "no tokenizer")],
)
def test_a_folder_that_is_not_whole_is_refused(folder, name, words):
    (folder / name).unlink()

    with pytest.raises(ModelFileError, match=words):
        read_facts(folder)


def test_more_than_the_machine_holds_is_refused_with_figures():
    check_memory(weights=3, cache=4, there=7)
    with pytest.raises(NotEnoughMemory, match=r"weights take 2\.0 GB, the context 9\.0 GB, and there are 8\.0 GB"):
        check_memory(weights=2 * 10**9, cache=9 * 10**9, there=8 * 10**9)


def test_a_file_is_no_folder(tmp_path):
    with pytest.raises(ModelFileError, match="no folder"):
        read_facts(tmp_path / "model.gguf")
