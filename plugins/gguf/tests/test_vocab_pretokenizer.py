"""tokenizer.ggml.pre from the pre-tokenizer's own steps."""

from __future__ import annotations

import pytest

from pajamas.errors import UnsupportedModel
from pajamas.modelfiles import LocalFiles
from pajamas_gguf.convert.pretokenizer import pre_tokenizer
from pajamas_gguf.convert.vocab_files import TokenizerFiles
from vocab_models import BYTES, DIGITS, GPT2_BYTES, GPT4O, LLAMA3, QWEN2, TEKKEN, byte_level, split, steps, write

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
HAN = split("[一-龥ࠀ-一가-퟿]+")
LINES = split("[\r\n]")
DEEPSEEK_V3 = (
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
    "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"
)


def name_of(folder, pre, vocabulary=(), model_type="llama", **model):
    write(folder, {"tokenizer.json": byte_level(pre, [], **model)})
    files = TokenizerFiles(LocalFiles(folder), {"model_type": model_type})
    return pre_tokenizer(files, set(vocabulary))


@pytest.mark.parametrize(
    ("pre", "name"),
    [
        (steps(split(QWEN2), BYTES), "qwen2"),
        (steps(split(QWEN2, "Removed", invert=True), BYTES), "qwen2"),
        (steps(split(LLAMA3), BYTES), "llama-bpe"),
        (steps(split(GPT4O), BYTES), "gpt-4o"),
        (steps(split(TEKKEN), BYTES), "tekken"),
        (GPT2_BYTES, "gpt-2"),
        (steps(GPT2_BYTES), "gpt-2"),
        (steps(split(GPT2), BYTES), "gpt-2"),
        (steps(DIGITS, GPT2_BYTES), "smollm"),
        (steps(split(r"\p{N}{1,3}"), split("[一-龥぀-ゟ゠-ヿ]+"), split(DEEPSEEK_V3), BYTES), "deepseek-v3"),
        (
            steps(LINES, split(r"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓ]+"), split(r"\s?[!-/:-~！-／：-～‘-‟　-。]+"),
                  split(r"\s+$"), HAN, DIGITS, BYTES),
            "deepseek-llm",
        ),
        (steps(LINES, split(r"\s?\p{L}+"), split(r"\s?\p{P}+"), HAN, DIGITS, BYTES), "deepseek-coder"),
    ],
)  # fmt: skip
def test_steps_have_a_name(tmp_path, pre, name):
    assert name_of(tmp_path, pre) == name


@pytest.mark.parametrize(
    ("pattern", "vocabulary", "name"),
    [
        (LLAMA3, ["<|begin_of_text|>"], "llama-bpe"),
        (LLAMA3, ["<｜begin▁of▁sentence｜>"], "llama-bpe"),
        (LLAMA3, ["[INST]"], "pixtral"),
        (QWEN2, ["<｜begin▁of▁sentence｜>"], "deepseek-r1-qwen"),
        (LLAMA3, ["<|im_sep|>"], "dbrx"),
        (LLAMA3, ["<|im_sep|>", "<|begin_of_text|>"], "llama-bpe"),
        (GPT4O, ["<|begin_of_text|>"], "llama4"),
    ],
)
def test_a_familys_own_tokens_decide_between_names_of_one_pattern(tmp_path, pattern, vocabulary, name):
    assert name_of(tmp_path, steps(split(pattern), BYTES), vocabulary) == name


def test_llama_3_is_known_by_its_way_to_merge_as_well(tmp_path):
    pre = steps(split(LLAMA3), BYTES)

    assert name_of(tmp_path, pre, model_type="phi3") == "dbrx"
    assert name_of(tmp_path, pre, model_type="phi3", ignore_merges=True) == "llama-bpe"


def test_vocabularies_of_single_digits_are_known_by_family(tmp_path):
    digits = steps(DIGITS, GPT2_BYTES)

    assert name_of(tmp_path, digits, ["<fim_prefix>"]) == "refact"
    assert name_of(tmp_path, digits, ["<fim_prefix>"], model_type="starcoder2") == "starcoder"


@pytest.mark.parametrize(
    ("pre", "shown"),
    [
        (steps(split(r"\w+"), BYTES), r"\w+"),
        (steps(split(QWEN2, "MergedWithNext"), BYTES), "MergedWithNext"),
        (steps(split(QWEN2), {**BYTES, "add_prefix_space": True}), "'add_prefix_space': True"),
        (steps(split(QWEN2)), "no byte level"),
        (steps(BYTES, split(QWEN2)), "no byte level"),
        ({"type": "BertPreTokenizer"}, "BertPreTokenizer"),
        (None, "no byte level"),
    ],
)
def test_an_unknown_one_is_refused_and_shown(tmp_path, pre, shown):
    with pytest.raises(UnsupportedModel) as error:
        name_of(tmp_path, pre)

    assert shown in error.value.why
