"""Which files of a repository make up the model."""

import json

import pytest

from modelrepos import EXTRA, SIDE
from pajamas.errors import ModelFileError, ModelNotFound, UsageError
from pajamas.hub_files import check_complete, choose_gguf, gguf_choices, side_files, weight_files

# As published: unsloth/Qwen3-1.7B-GGUF, bartowski's and ggml-org's ways to name files.
UNSLOTH = [
    "Qwen3-1.7B-BF16.gguf",
    "Qwen3-1.7B-IQ4_NL.gguf",
    "Qwen3-1.7B-IQ4_XS.gguf",
    "Qwen3-1.7B-Q4_0.gguf",
    "Qwen3-1.7B-Q4_K_M.gguf",
    "Qwen3-1.7B-UD-IQ1_S.gguf",
    "Qwen3-1.7B-UD-Q4_K_XL.gguf",
    "imatrix_unsloth.gguf",
]
PARTS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]


def test_side_files_of_a_model():
    assert side_files(SIDE.keys() | EXTRA.keys()) == sorted(SIDE)
    assert side_files(["tokenizer.model", "sub/config.json", "../vocab.json", "tekken.json"]) == [
        "tekken.json",
        "tokenizer.model",
    ]


@pytest.mark.parametrize(
    ("names", "index", "expected"),
    [
        (["model.safetensors", "consolidated.safetensors"], None, ["model.safetensors"]),
        (["model.safetensors", "a.safetensors"], {"w": "a.safetensors"}, ["model.safetensors"]),
        (["a.safetensors"], {"w": "b.safetensors", "v": "a.safetensors"}, ["a.safetensors", "b.safetensors"]),
        (["a.safetensors"], {"w": "gone.safetensors"}, ["gone.safetensors"]),
        ([PARTS[1], "x.safetensors"], None, PARTS),
        (["model-00002-of-2.safetensors"], None, ["model-00001-of-2.safetensors", "model-00002-of-2.safetensors"]),
        (["model-2-of-10.safetensors"], None, [f"model-{n}-of-10.safetensors" for n in range(1, 11)]),
        (["consolidated.safetensors"], None, ["consolidated.safetensors"]),
        (["consolidated.safetensors", "weights.safetensors"], None, ["weights.safetensors"]),
        (["sub/model.safetensors", "model.bin"], None, []),
    ],
)  # fmt: skip
def test_weight_files(names, index, expected):
    content = None if index is None else json.dumps({"weight_map": index}).encode()

    assert weight_files(names, content, "o/n") == expected


@pytest.mark.parametrize(
    "index",
    [
        b"",
        b"[]",
        b"{}",
        b'{"weight_map": []}',
        b'{"weight_map": {}}',
        b'{"weight_map": {"w": 1}}',
        b'{"weight_map": {"w": ["a"]}}',
        b'{"weight_map": {"w": "config.json"}}',
        b'{"weight_map": {"w": "../a.safetensors"}}',
        b'{"weight_map": {"w": "/a.safetensors"}}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_damaged_index(index):
    with pytest.raises(ModelFileError):
        weight_files(["a.safetensors"], index, "o/n")


def test_missing_shards_are_named():
    with pytest.raises(ModelFileError) as caught:
        check_complete(["a", "b", "c"], ["b"], "o/n")

    assert "a, c" in caught.value.why


@pytest.mark.parametrize(
    ("names", "quant", "expected"),
    [
        (UNSLOTH, "Q4_K_M", "Qwen3-1.7B-Q4_K_M.gguf"),
        (UNSLOTH, "q4_k_m", "Qwen3-1.7B-Q4_K_M.gguf"),
        (UNSLOTH, "Q4_K_XL", "Qwen3-1.7B-UD-Q4_K_XL.gguf"),
        (UNSLOTH, "UD-Q4_K_XL", "Qwen3-1.7B-UD-Q4_K_XL.gguf"),
        (UNSLOTH, "bf16", "Qwen3-1.7B-BF16.gguf"),
        (UNSLOTH, "Q4_0", "Qwen3-1.7B-Q4_0.gguf"),
        (["m.Q4_K_M.gguf", "m.Q4_K_S.gguf"], "Q4_K_M", "m.Q4_K_M.gguf"),
        (["m-q4_0_4_4.gguf", "m-q4_0.gguf"], "Q4_0", "m-q4_0.gguf"),
        (["m-bf16.gguf", "m-f16.gguf"], "F16", "m-f16.gguf"),
        (["gpt-oss-20b-mxfp4.gguf", "gpt-oss-20b-F16.gguf"], "MXFP4", "gpt-oss-20b-mxfp4.gguf"),
        (["a-Q4_K_M.gguf", "a-UD-Q4_K_M.gguf"], "Q4_K_M", "a-Q4_K_M.gguf"),
        (["m-Q8_0-v2.gguf", "m-Q4_0-v2.gguf"], "Q8_0", "m-Q8_0-v2.gguf"),
        (["BF16/m-BF16-00001-of-00001.gguf", "m-Q4_0.gguf"], "BF16", "BF16/m-BF16-00001-of-00001.gguf"),
        (["Q2_K/m.gguf", "Q3_K/m.gguf"], "Q3_K", "Q3_K/m.gguf"),
    ],
)  # fmt: skip
def test_choice_by_quantization(names, quant, expected):
    assert choose_gguf(names, quant, None, "o/n") == (expected,)


@pytest.mark.parametrize("quant", ["Q4_K", "Q4", "K_M", "16", "gguf", "Q5_K_M", "imatrix_unsloth", ".*", "("])
def test_quantization_that_no_file_carries(quant):
    with pytest.raises(ModelNotFound) as caught:
        choose_gguf(UNSLOTH, quant, None, "o/n")

    assert "BF16, IQ4_NL, IQ4_XS, Q4_0, Q4_K_M, UD-IQ1_S, UD-Q4_K_XL" in caught.value.why
    assert "o/n:Q4_K_M" in caught.value.fix


def test_ambiguous_choice():
    with pytest.raises(UsageError) as caught:
        choose_gguf(["a-Q4_0.gguf", "b-Q4_0.gguf"], "Q4_0", None, "o/n")

    assert "a-Q4_0.gguf, b-Q4_0.gguf" in caught.value.why
    assert "hf://o/n/a-Q4_0.gguf" in caught.value.fix


def test_shards_belong_together():
    parts = [f"m-Q8_0-0000{n}-of-00003.gguf" for n in (1, 2, 3)]

    assert choose_gguf(parts, "Q8_0", None, "o/n") == tuple(parts)
    assert choose_gguf(parts, None, parts[1], "o/n") == tuple(parts)
    assert choose_gguf(parts, None, None, "o/n") == tuple(parts)
    with pytest.raises(ModelFileError) as caught:
        choose_gguf(parts[1:], "Q8_0", None, "o/n")
    assert parts[0] in caught.value.why


def test_absurd_numbers_of_shards_are_not_listed():
    assert [len(choice.files) for choice in gguf_choices(["m-00001-of-99999.gguf", "n-00000-of-00000.gguf"])] == [1, 1]


def test_companion_can_be_asked_for_by_name():
    assert choose_gguf(["m-Q4_0.gguf", "mmproj-F16.gguf"], None, "mmproj-F16.gguf", "o/n") == ("mmproj-F16.gguf",)
    with pytest.raises(ModelNotFound):
        choose_gguf(["m-Q4_0.gguf"], None, "x.gguf", "o/n")
