"""The tokenizer's keys against llama.cpp's converter, on small tokenizers of every layout.

vocab_goldens.json holds what convert_hf_to_gguf.py (llama-cpp-python 0.3.36, transformers 5.23) wrote for the folders
of vocab_families.py.
"""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import pytest

from pajamas.digests import template_digest, tokenizer_digest
from pajamas.errors import ModelFileError, UnsupportedModel
from pajamas.gguf_header import read_header
from pajamas.modelfiles import LocalFiles
from pajamas_gguf.convert.vocab import vocab_keys, write_vocab
from vocab_families import FAMILIES, qwen3
from vocab_families_spm import llama2, phi3
from vocab_models import added, model_file, pieces, summary, write

GOLDENS = json.loads(Path(__file__).with_name("vocab_goldens.json").read_text(encoding="utf-8"))


def convert(folder, files):
    """A GGUF file that holds the vocabulary only, and what was said about it."""
    write(folder, files)
    path = folder / "vocab.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    facts = write_vocab(LocalFiles(folder), files["config.json"], writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path, facts


def keys_of(folder, files):
    return vocab_keys(LocalFiles(write(folder, files)), files["config.json"])


@pytest.mark.parametrize("name", FAMILIES)
def test_every_key_is_what_llama_cpp_writes(tmp_path, name):
    path, _ = convert(tmp_path, FAMILIES[name]())

    assert summary(read_header(LocalFiles(path), path.name).metadata) == GOLDENS[name]


@pytest.mark.parametrize("name", ["qwen3", "llama2", "qwen3_that_names_little"])
def test_types_in_the_file_are_those_that_llama_cpp_reads(tmp_path, name):
    path, _ = convert(tmp_path, FAMILIES[name]())

    fields = gguf.GGUFReader(path).fields
    kinds = {key: [kind.name for kind in field.types] for key, field in fields.items()}
    assert kinds["tokenizer.ggml.tokens"] == ["ARRAY", "STRING"]
    assert kinds["tokenizer.ggml.token_type"] == ["ARRAY", "INT32"]
    assert kinds.get("tokenizer.ggml.scores", ["ARRAY", "FLOAT32"]) == ["ARRAY", "FLOAT32"]
    assert kinds["tokenizer.ggml.eos_token_id"] == ["UINT32"]
    assert kinds.get("tokenizer.ggml.add_bos_token", ["BOOL"]) == ["BOOL"]


def test_facts_are_those_of_the_finished_file(tmp_path):
    path, facts = convert(tmp_path, qwen3())

    assert (facts.kind, facts.pre, facts.size, facts.notes) == ("gpt2", "qwen2", 480, ())
    assert facts.tokenizer_digest == tokenizer_digest(path)
    assert facts.template_digest == template_digest(path)


def test_nothing_is_written_if_anything_is_wrong(tmp_path):
    files = qwen3()
    files["tokenizer_config.json"]["chat_template"] = 7
    writer = gguf.GGUFWriter(tmp_path / "x.gguf", "qwen3")
    before = dict(writer.kv_data[0])

    with pytest.raises(ModelFileError, match="chat_template"):
        write_vocab(LocalFiles(write(tmp_path, files)), files["config.json"], writer)

    assert writer.kv_data[0] == before


def test_a_vocabulary_is_padded_to_the_embedding(tmp_path):
    keys = keys_of(tmp_path, qwen3())

    assert keys["tokenizer.ggml.tokens"][462:465] == ["</tool_call>", "[PAD463]", "[PAD464]"]
    assert keys["tokenizer.ggml.token_type"][461:464] == [4, 4, 5]


@pytest.mark.parametrize(
    ("token", "text", "kind"),
    [
        (added(463, "<mark>"), "<mark>", 3),
        (added(463, "<mark>", special=False), "<mark>", 4),
        (added(463, "<|mark|>", special=False), "<|mark|>", 3),
        (added(463, "▁two▁words", special=False, normalized=True), " two words", 4),
        (added(463, "Ġx", special=False), " x", 4),
        (added(463, "Ġx", special=False, normalized=True), "Ġx", 4),
    ],
)
def test_an_added_token_has_the_text_and_type_of_its_flags(tmp_path, token, text, kind):
    files = qwen3()
    files["tokenizer.json"]["added_tokens"].append(token)
    files["tokenizer_config.json"]["added_tokens_decoder"] = {}

    keys = keys_of(tmp_path, files)

    assert (keys["tokenizer.ggml.tokens"][463], keys["tokenizer.ggml.token_type"][463]) == (text, kind)


def test_a_space_in_a_merge_does_not_read_as_its_middle(tmp_path):
    files = qwen3()
    files["tokenizer.json"]["model"]["vocab"] |= {"x ": 470, "x y": 471}
    files["tokenizer.json"]["model"]["merges"] = [["x ", "y"]]

    assert keys_of(tmp_path, files)["tokenizer.ggml.merges"] == ["xĠ y"]


def test_templates_in_files_have_their_order_of_precedence(tmp_path):
    files = qwen3()
    assert keys_of(tmp_path, files)["tokenizer.chat_template"] == "from tokenizer_config.json"

    del files["tokenizer_config.json"]["chat_template"]
    files["chat_template.json"] = {"chat_template": "from chat_template.json"}
    assert keys_of(tmp_path, files)["tokenizer.chat_template"] == "from chat_template.jinja"

    files["additional_chat_templates/tool use.jinja"] = "with tools"
    keys = keys_of(tmp_path, files)
    assert keys["tokenizer.chat_template"] == "from chat_template.jinja"
    assert keys["tokenizer.chat_template.tool_use"] == "with tools"
    assert keys["tokenizer.chat_templates"] == ["tool_use"]


def test_lines_of_a_template_file_end_as_python_reads_them(tmp_path):
    files = qwen3()
    del files["tokenizer_config.json"]["chat_template"]
    files["chat_template.jinja"] = b"{{ 1 }}\r\n{{ 2 }}\r\n"

    assert keys_of(tmp_path, files)["tokenizer.chat_template"] == "{{ 1 }}\n{{ 2 }}\n"


def test_a_template_file_counts_without_tokenizer_config(tmp_path):
    files = qwen3()
    del files["tokenizer_config.json"]

    assert keys_of(tmp_path, files)["tokenizer.chat_template"] == "from chat_template.jinja"


def test_sentencepiece_without_its_model_says_what_that_costs(tmp_path):
    _, whole = convert(tmp_path / "whole", llama2())
    _, bare = convert(tmp_path / "bare", FAMILIES["llama2_without_tokenizer_model"]())

    assert whole.notes == ()
    assert "tokenizer.model" in bare.notes[0]


def test_sentencepiece_without_byte_tokens_says_what_that_costs(tmp_path):
    files = llama2()
    files["tokenizer.model"] = model_file([piece for piece in pieces() if piece[0] != "<0x0A>"])

    _, facts = convert(tmp_path, files)

    assert "lacks 1 of the 256 byte tokens" in facts.notes[0]


def test_special_cases_of_the_llama_family(tmp_path):
    """CodeLlama's end of turn and StarCoder's vocabulary in a Llama are known by their sizes alone."""
    files = llama2()
    files["config.json"]["vocab_size"] = 32016
    assert keys_of(tmp_path, files)["tokenizer.ggml.eot_token_id"] == 32010

    files["config.json"]["vocab_size"] = 49152
    assert keys_of(tmp_path, files)["tokenizer.ggml.add_bos_token"] is False


def test_the_architecture_decides_before_the_model_type(tmp_path):
    files = phi3()
    files["config.json"] |= {"architectures": ["LlamaForCausalLM"], "model_type": "phi3"}
    files["tokenizer_config.json"]["add_prefix_space"] = True

    assert keys_of(tmp_path, files)["tokenizer.ggml.add_space_prefix"] is True


def test_mistrals_own_form_alone_is_refused_by_name(tmp_path):
    files = FAMILIES["mistral_nemo"]()
    del files["tokenizer.json"]
    files["tekken.json"] = {}

    with pytest.raises(UnsupportedModel, match=r"tekken\.json"):
        keys_of(tmp_path, files)


def test_another_kind_of_tokenizer_is_refused_by_name(tmp_path):
    files = qwen3()
    files["tokenizer.json"]["model"] = {"type": "Unigram", "vocab": [["a", -1.0]]}

    with pytest.raises(UnsupportedModel, match="Unigram"):
        keys_of(tmp_path, files)


def test_a_folder_without_a_tokenizer_is_an_error(tmp_path):
    with pytest.raises(ModelFileError, match="has no tokenizer"):
        keys_of(tmp_path, {"config.json": qwen3()["config.json"]})
