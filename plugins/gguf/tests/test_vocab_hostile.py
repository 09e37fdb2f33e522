"""Damaged and hostile tokenizer files: an error that says what is wrong, never another exception."""

from __future__ import annotations

import copy
import json
import random
import struct

import pytest

from pajamas.errors import ModelFileError, UnsupportedModel
from pajamas.modelfiles import LocalFiles
from pajamas_gguf.convert.spm import read_pieces
from pajamas_gguf.convert.vocab import vocab_keys
from vocab_families import (
    llama2,
    llama2_with_added_tokens,
    llama3,
    mistral_nemo,
    phi3,
    qwen2_without_tokenizer_json,
    qwen3,
)
from vocab_models import added, model_file, pieces, write


def keys_of(folder, files):
    config = files["config.json"]
    return vocab_keys(LocalFiles(write(folder, files)), config)


def qwen3_with(change):
    files = qwen3()
    change(files["tokenizer.json"], files["tokenizer_config.json"], files["config.json"])
    return files


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda t, c, m: t["model"].update(vocab=[]), "no vocabulary"),
        (lambda t, c, m: t["model"]["vocab"].update({"new": 3}), "one id"),
        (lambda t, c, m: t["model"]["vocab"].update({"new": 480}), "vocab_size is 480"),
        (lambda t, c, m: t["model"]["vocab"].update({"new": -1}), "not a token id"),
        (lambda t, c, m: t["model"]["vocab"].update({"new": 1.5}), "not a token id"),
        (lambda t, c, m: t["model"]["vocab"].update({"new": 10**4000}), "not a token id"),
        (lambda t, c, m: t["model"]["vocab"].update({"\ud800": 470}), "not valid Unicode"),
        (lambda t, c, m: t["model"]["vocab"].update({"[PAD471]": 470}), "are both"),
        (lambda t, c, m: t["model"].update(merges=[]), "no merges"),
        (lambda t, c, m: t["model"].update(merges={"a": "b"}), "no merges"),
        (lambda t, c, m: t["model"].update(merges=["a b c"]), "not a merge"),
        (lambda t, c, m: t["model"].update(merges=[["a", 1]]), "not a merge"),
        (lambda t, c, m: t["model"].update(merges=[["a", "never"]]), "outside the vocabulary"),
        (lambda t, c, m: t.update(model=[]), "model is not an object"),
        (lambda t, c, m: t.update(added_tokens={}) or t.update(added_tokens="x"), "not a list"),
        (lambda t, c, m: t["added_tokens"].append("x"), "added token"),
        (lambda t, c, m: t["added_tokens"].append(added(10**30, "x!")), "not a token id"),
        (lambda t, c, m: t["added_tokens"].append(added(456, "x!")), "does not fit its id"),
        (lambda t, c, m: t["added_tokens"].append(added(470, "<|im_end|>")), "does not fit its id"),
        (lambda t, c, m: t.update(post_processor="x"), "post_processor"),
        (lambda t, c, m: t.update(post_processor={"processors": [1]}), "post_processor"),
        (lambda t, c, m: t.update(post_processor={"type": "TemplateProcessing", "single": 7}), "single"),
        (lambda t, c, m: c.update(added_tokens_decoder={"-1": added(0, "x")}), "not a token id"),
        (lambda t, c, m: c.update(added_tokens_decoder={"9" * 5000: added(0, "x")}), "not a token id"),
        (lambda t, c, m: c.update(chat_template={"default": "x"}), "chat_template"),
        (lambda t, c, m: c.update(chat_template=[{"name": "default", "template": 1}]), "chat template"),
        (lambda t, c, m: c.update(chat_template="\udfff"), "not valid Unicode"),
        (lambda t, c, m: m.update(vocab_size=10**12), "vocab_size"),
        (lambda t, c, m: m.update(vocab_size=-5), "vocab_size"),
        (lambda t, c, m: m.update(vocab_size="many"), "vocab_size"),
        (lambda t, c, m: m.update(vocab_size=3), "vocab_size is 3"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, change, why):
    files = qwen3_with(change)
    files = {name: json.dumps(value) if isinstance(value, dict) and name != "config.json" else value
             for name, value in files.items()}  # fmt: skip

    with pytest.raises(ModelFileError) as error:
        keys_of(tmp_path, files)

    assert why in str(error.value)


def test_an_id_that_is_out_of_range_in_config_json_is_left_out(tmp_path):
    files = qwen3()
    files["config.json"] |= {"bos_token_id": 10**20, "eos_token_id": -1, "pad_token_id": True}
    del files["tokenizer_config.json"]

    keys = keys_of(tmp_path, files)

    assert not [key for key in keys if key.endswith("_token_id")]


def test_a_normalizer_nested_without_end_does_not_exhaust_the_stack(tmp_path):
    files = qwen3()
    nested = '{"type":"Sequence","normalizers":[' * 400 + '{"type":"Lowercase"}' + "]}" * 400
    files["tokenizer.json"]["normalizer"] = None
    text = json.dumps(files["tokenizer.json"]).replace('"normalizer": null', f'"normalizer": {nested}')

    assert keys_of(tmp_path, files | {"tokenizer.json": text})["tokenizer.ggml.normalizer.lowercase"] is True


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x0a",
        b"\x0a\xff\xff\xff\xff\x7f",
        b"\xff" * 40,
        b"\x0b\x00",
        b"IQ== 0\nIg== 1\n",
        model_file(pieces())[:-3],
        model_file(pieces())[:4000],
        model_file([("", 0.0, 1)]),
        model_file([("a", 0.0, 77)]),
        b"\x0a\x04\x0a\x02\xff\xfe",
    ],
)
def test_a_damaged_model_file_is_an_error(tmp_path, data):
    files = llama2() | {"tokenizer.model": data}

    with pytest.raises(ModelFileError, match=r"tokenizer\.model"):
        keys_of(tmp_path, files)


def test_fields_that_are_not_known_are_passed_over():
    """Later versions of the format may hold fields of any of the four kinds."""
    unknown = b"\x98\x06\x07" + b"\x99\x06" + bytes(8) + b"\x9d\x06" + bytes(4) + b"\x9a\x06\x02hi"
    piece = b"\x0a\x01x\x15" + struct.pack("<f", -2.5) + b"\x18\x03" + unknown

    found = read_pieces(unknown + b"\x0a" + bytes([len(piece)]) + piece + unknown)

    assert [(piece.text, piece.score, int(piece.type)) for piece in found] == [("x", -2.5, 3)]


def test_phi3_needs_a_row_for_every_token(tmp_path):
    files = phi3()
    files["config.json"]["vocab_size"] = len(pieces()) + 2

    with pytest.raises(ModelFileError, match="vocab_size"):
        keys_of(tmp_path, files)


def test_two_pieces_of_one_text_are_refused(tmp_path):
    """llama.cpp would abort the process that loads them."""
    files = llama2() | {"tokenizer.model": model_file([*pieces()[:-1], pieces()[-2]])}

    with pytest.raises(ModelFileError, match="are both"):
        keys_of(tmp_path, files)


JUNK = [
    None, True, -1, 0, 2**64, 10**400, 1.5, "", "x", "\ud800", "<|x|>", "9" * 5000, [], {}, [None], ["a", "b"],
   {"a": {}}, {"content": "q"}, [{"type": "Sequence"}], {"type": "Sequence"}, [1, 2],
]  # fmt: skip


def places(value, path=()):
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in list(inner)[:20]:
        yield (*path, key)
        yield from places(child, (*path, key))


def damage(value, rng):
    """One or two places of a JSON value replaced, removed or doubled."""
    value = copy.deepcopy(value)
    for _ in range(rng.choice([1, 1, 2])):
        spots = list(places(value))
        if not spots:
            break
        *path, last = rng.choice(spots)
        parent = value
        for key in path:
            parent = parent[key]
        way = rng.random()
        if way < 0.2 and isinstance(parent, dict):
            del parent[last]
        elif way < 0.3 and isinstance(parent, list):
            parent.append(copy.deepcopy(parent[last]))
        elif way < 0.4 and isinstance(parent, dict):
            parent[rng.choice(list(parent))] = copy.deepcopy(parent[last])
        else:
            parent[last] = copy.deepcopy(rng.choice(JUNK))
    return value


@pytest.mark.parametrize(
    "make", [qwen3, qwen2_without_tokenizer_json, llama3, mistral_nemo, llama2_with_added_tokens, phi3]
)
def test_random_damage_is_an_error_or_nothing(tmp_path, make):
    rng = random.Random(make.__name__)
    refused = 0
    for _ in range(60):
        files = make()
        name = rng.choice(list(files))
        if isinstance(files[name], dict):
            files[name] = damage(files[name], rng)
        else:
            data = bytearray(files[name] if isinstance(files[name], bytes) else files[name].encode())
            for _ in range(rng.choice([1, 3, 20])):
                data[rng.randrange(len(data))] = rng.randrange(256)
            files[name] = bytes(data[: rng.choice([len(data), rng.randrange(len(data))])])
        config = files["config.json"]
        files = {name: json.dumps(value) if isinstance(value, dict) else value for name, value in files.items()}
        try:
            vocab_keys(LocalFiles(write(tmp_path, files)), config)
        except (ModelFileError, UnsupportedModel):
            refused += 1
    assert refused > 5
