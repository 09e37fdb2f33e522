"""Conversion faults planted into files that are right: each is found, and named as what it is."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path

import pytest
from click.testing import CliRunner

import pajamas
from pajamas.gguf_header import read_header
from pajamas.modelfiles import LocalFiles
from pajamas.safetensors_header import read_tensors
from pajamas_validate.command import command

TINY = Path(__file__).parents[2] / "tiny/src/pajamas_tiny/model"
QUICK = {"windows": 1, "context": 128, "depth": 128, "prompts": 0}
NORMS = ("blk.0.attn_norm.weight", "blk.2.attn_norm.weight")
HF_NORMS = ("model.layers.0.input_layernorm.weight", "model.layers.2.input_layernorm.weight")


def copy(path, folder, name=None):
    """Without the receipt, which would name the original."""
    folder.mkdir(exist_ok=True, parents=True)
    target = folder / (name or path.name)
    shutil.copytree(path, target) if path.is_dir() else shutil.copyfile(path, target)
    return target


def swap(path, one, other):
    """Exchange two tensors of equal shape and type, in a GGUF file or in a folder with safetensors."""
    if path.is_dir():
        places = read_tensors(LocalFiles(path))
        first, second, file = places[one], places[other], path / places[one].file
    else:
        places = {tensor.name: tensor for tensor in read_header(LocalFiles(path), path.name).tensors}
        first, second, file = places[one], places[other], path
    assert first.size == second.size
    data = bytearray(file.read_bytes())
    left, right = (slice(tensor.offset, tensor.offset + tensor.size) for tensor in (first, second))
    data[left], data[right] = data[right], data[left]
    file.write_bytes(data)
    return path


def set_float(path, key, value):
    """Another 32-bit float in a GGUF header."""
    return _set(path, key, 6, struct.pack("<f", value))


def set_bool(path, key, value):
    return _set(path, key, 7, struct.pack("<?", value))


def set_config(folder, **values):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    return folder


def with_bos(folder, target, token="<|endoftext|>"):
    """The model as one whose tokenizer puts a BOS before a text."""
    shutil.copytree(folder, target)
    tokenizer = json.loads((target / "tokenizer.json").read_text(encoding="utf-8"))
    number = next(entry["id"] for entry in tokenizer["added_tokens"] if entry["content"] == token)
    tokenizer["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": token, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {token: {"id": token, "ids": [number], "tokens": [token]}},
    }
    (target / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    config = json.loads((target / "tokenizer_config.json").read_text())
    (target / "tokenizer_config.json").write_text(json.dumps(config | {"bos_token": token, "add_bos_token": True}))
    return set_config(target, bos_token_id=number)


def _set(path, key, kind, value):
    data = bytearray(path.read_bytes())
    begin = data.index(struct.pack("<Q", len(key)) + key.encode()) + 8 + len(key)
    assert struct.unpack_from("<I", data, begin)[0] == kind
    data[begin + 4 : begin + 4 + len(value)] = value
    path.write_bytes(data)
    return path


@pytest.fixture(scope="module")
def bos_gguf(tmp_path_factory):
    """The bundled model as one that wants a BOS, as GGUF."""
    folder = with_bos(TINY, tmp_path_factory.mktemp("bos") / "model")
    return pajamas.run("convert", model=folder, output=folder.parent / "made", precision="f16").gguf_path


@pytest.fixture
def mlx():
    pytest.importorskip("mlx.core", reason="this machine has no MLX")


def compare(*models, **options):
    return pajamas.run("equivalence", models=models, **{**QUICK, **options})


def float32_distance(result):
    (finding,) = result.found("float32-kld")
    return finding.value


def test_the_original_says_which_norms_of_a_16_bit_file_are_swapped(tiny_gguf, tmp_path):
    wrong = swap(copy(tiny_gguf("bf16"), tmp_path), *NORMS)
    result = compare(tiny_gguf("f16"), wrong)  # the receipt of the first names it

    computed, first, second = result.faults
    assert "In float32, A and B compute different things" in computed
    assert f"In B, {NORMS[0]} differs from the original" in first
    assert f"it holds what is {NORMS[1]} in the original" in first
    assert f"it holds what is {NORMS[0]} in the original" in second


def test_a_missing_bos_is_a_difference_of_tokens_and_not_of_computation(bos_gguf, tmp_path):
    wrong = set_bool(copy(bos_gguf, tmp_path), "tokenizer.ggml.add_bos_token", value=False)
    result = compare(bos_gguf, wrong)

    (fault,) = result.faults
    assert "The tokenization differs. The tokens put around every text differ" in fault
    assert "A has '<|endoftext|>' (4087), B has nothing." in fault
    assert float32_distance(result) < 1e-9


def test_a_damaged_template_is_a_difference_of_prompts(tiny_gguf, tmp_path):
    wrong = copy(tiny_gguf("f16"), tmp_path)
    data = wrong.read_bytes()
    wrong.write_bytes(data.replace(b"<|im_start|>assistant", b"<|im_start|>assistent"))
    result = compare(tiny_gguf("f16"), wrong)

    assert "The rendered prompt differs. The bytes of the prompt" in result.faults[0]


def test_a_wrong_rope_theta_of_a_quantized_file_is_held_against_its_original(tiny_gguf, tmp_path):
    wrong = [
        set_float(copy(tiny_gguf(scheme), tmp_path), "qwen3.rope.freq_base", 10000.0) for scheme in ("q4_k_m", "q8_0")
    ]
    result = compare(*wrong, original=TINY)

    assert result.faults == (
        "The rope theta is 10000 in A and 1e+06 in A's original.",
        "The rope theta is 10000 in B and 1e+06 in B's original.",
    )


def test_swapped_weights_of_a_quantized_file_lose_out_of_proportion(tiny_gguf, tmp_path):
    wrong = swap(copy(tiny_gguf("q8_0"), tmp_path), "blk.0.attn_q.weight", "blk.2.attn_q.weight")
    result = compare(tiny_gguf("f16"), wrong)

    (loss,) = result.found("quantization-loss")
    assert loss.details["suspicious"]
    assert any(text.startswith("Out of proportion") for _, text in loss.lines)


def test_the_one_that_all_others_agree_without_is_named(tiny_gguf, tmp_path):
    wrong = swap(copy(tiny_gguf("bf16"), tmp_path), *NORMS)
    result = compare(tiny_gguf("f16"), wrong, tiny_gguf("bf16"))

    assert "All others agree without B." in result.faults
    assert len(result.found("float32-kld")) == 3


def test_a_quantized_copy_without_a_receipt_has_the_original_of_the_other(tiny_gguf, tmp_path):
    wrong = swap(copy(tiny_gguf("q4_k_m"), tmp_path), *NORMS)
    result = compare(tiny_gguf("q8_0"), wrong)

    assert [finding.details["model"] for finding in result.found("weights")] == ["A", "B"]
    assert len(result.faults) == 2
    assert all(fault.startswith("In B, ") for fault in result.faults)
    assert f"it holds what is {NORMS[1]} in the original" in result.faults[0]
    assert [finding.value > 0.5 for finding in result.found("quantization-loss")] == [False, True]


def test_a_model_that_reads_other_tokens_is_not_asked_for_numbers(tiny_gguf, tmp_path):
    folder = copy(TINY, tmp_path)
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    vocab = tokenizer["model"]["vocab"]
    last = len(vocab) - 1
    tokenizer["model"]["vocab"] = {token: last - number for token, number in vocab.items()}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    other = pajamas.run("convert", model=folder, output=tmp_path / "made", precision="f16").gguf_path
    result = compare(tiny_gguf("f16"), other)

    assert result.status == "fail"
    assert "The tokenization differs" in result.faults[0]
    assert not result.found("float32-kld")


def test_the_command_ends_with_exit_code_5(tiny_gguf, tmp_path):
    wrong = set_float(copy(tiny_gguf("bf16"), tmp_path), "qwen3.rope.freq_base", 10000.0)
    result = CliRunner().invoke(
        command, ["--equivalence", str(tiny_gguf("f16")), str(wrong), "--windows", "1", "--ctx", "64", "--json"]
    )

    assert result.exit_code == 5
    found = json.loads(result.stdout)
    assert [model["backend"] for model in found["models"]] == ["gguf", "gguf"]
    verdict = found["findings"][-1]
    assert verdict["details"]["status"] == "fail"
    assert verdict["details"]["faults"][0] == "The rope theta is 1e+06 in A and 10000 in B."
    assert "In float32, A and B compute different things" in verdict["details"]["faults"][1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("plant", "word"),
    [
        (lambda folder: swap(folder, *HF_NORMS), "In float32, A and B compute different things"),
        (
            lambda folder: set_config(folder, rope_parameters={"rope_theta": 10000.0, "rope_type": "default"}),
            "The rope theta is 1e+06 in A and 10000 in B.",
        ),
    ],
)
def test_faults_of_a_folder_for_another_engine_are_found(tiny_gguf, mlx, tmp_path, plant, word):
    result = compare(tiny_gguf("f16"), plant(copy(TINY, tmp_path)))

    assert float32_distance(result) > 0.01
    assert any(fault.startswith(word) for fault in result.faults)


@pytest.mark.slow
def test_a_bos_that_another_engine_does_not_put_is_found(bos_gguf, mlx):
    (fault,) = compare(bos_gguf, TINY).faults

    assert "A has '<|endoftext|>' (4087), B has nothing." in fault


@pytest.mark.slow
def test_swapped_norms_of_a_quantized_folder_are_found_by_its_receipt(tiny_gguf, mlx, tmp_path):
    made = pajamas.run("convert", model=TINY, output=tmp_path, formats="mlx", precision="4bit").mlx_path
    result = compare(tiny_gguf("q4_k_m"), swap(made, *HF_NORMS))

    assert result.status == "fail"
    assert f"In B, {HF_NORMS[0]} differs from the original" in result.faults[0]
    assert not any(fault.startswith(("In A", "In float32")) for fault in result.faults)
