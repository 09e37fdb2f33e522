"""Converted vocabularies in llama.cpp itself: the same tokens as the tokenizer that they were made from."""

from __future__ import annotations

import io
import json
from contextlib import contextmanager
from pathlib import Path

import gguf
import pytest
import sentencepiece
from tokenizers import Tokenizer

from pajamas.gguf_header import read_header
from pajamas.modelfiles import LocalFiles
from pajamas_gguf.convert.vocab import write_vocab
from pajamas_gguf.engine import library
from vocab_families import deepseek_r1_qwen, llama3, mistral_nemo, phi4, phi4_mini, qwen3, smollm
from vocab_models import BYTES, QWEN2, byte_level, config, model_file, split, steps, write

SHARED = Path(__file__).parents[3].parent / "shared/data"

TEXTS = [
    "Hello, world!",
    "I'm sure you'RE right, they'll say IT'S fine; DON'T",
    "12345 3.14159 1,000,000 ٣٤٥ Ⅷ ½ ²",
    "こんにちは世界 你好，世界！한국어 텍스트",
    "🚀🦙👨‍👩‍👧‍👦 ❤️ 🇺🇸",
    "  lead  trail  \t\t\n\n \n  x\r\ny\r\n\r\nz ",
    "don’t “quote” — dash… ﬁ",
    "नमस्ते ไทย العربية עברית Ελληνικά",
    "\u200b\u00a0\u3000x\u2028y",
    "Ǆ ǅ ŉ ß İ ı",
    "print('x')\n\tif a==b:\n        return {}\n",
    "https://a.b/c?d=e&f=g#h",
    "\x01a\x7f",
    "ABCdefGHI camelCaseWord snake_case XMLHttp",
    "   ",
    "\n\n\n",
    "x" * 300,
    "",
]


@contextmanager
def vocabulary(path):
    """The vocabulary of a GGUF file, loaded by llama.cpp: a function from text to ids."""
    engine = library()
    parameters = engine.llama_model_default_params()
    parameters.vocab_only = True
    model = engine.llama_model_load_from_file(str(path).encode(), parameters)
    assert model, f"llama.cpp does not load {path}"
    vocab = engine.llama_model_get_vocab(model)

    def tokenize(text, special=True, ends=True):
        data = text.encode()
        ids = (engine.llama_token * (2 * len(data) + 16))()
        count = engine.llama_tokenize(vocab, data, len(data), ids, len(ids), ends, special)
        assert count >= 0
        return list(ids[:count])

    try:
        yield tokenize
    finally:
        engine.llama_model_free(model)


def converted(folder, files):
    write(folder, files)
    path = folder / "vocab.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    write_vocab(LocalFiles(folder), files["config.json"], writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path


@pytest.mark.parametrize("make", [qwen3, deepseek_r1_qwen, llama3, phi4, phi4_mini, smollm])
def test_llama_cpp_splits_as_tokenizers_does(tmp_path, make):
    files = make()
    path = converted(tmp_path, files)
    original = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    names = [token["content"] for token in files["tokenizer.json"]["added_tokens"]]
    texts = [*TEXTS, "a" + "b".join(names) + "c", " ".join(names), "\n".join(names)]

    with vocabulary(path) as tokenize:
        for text in texts:
            assert tokenize(text) == original.encode(text).ids, text


def test_llama_cpp_splits_mistral_nemo_as_tokenizers_does_but_for_marks(tmp_path):
    """llama.cpp's own pattern for tekken knows no combining marks, so text with them is left out."""
    path = converted(tmp_path, mistral_nemo())
    original = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))

    with vocabulary(path) as tokenize:
        for text in TEXTS:
            if not any(0x0900 <= ord(letter) < 0x0E80 or letter in "\ufe0f\u200d" for letter in text):
                assert tokenize(text) == original.encode(text).ids, text


def test_llama_cpp_splits_as_sentencepiece_does(tmp_path):
    """A model that sentencepiece has trained, read by our own parser."""
    buffer = io.BytesIO()
    lines = [text for text in TEXTS if text.strip()] * 4 + ["the quick brown fox jumps over the lazy dog"] * 9
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=buffer, vocab_size=420, model_type="bpe", byte_fallback=True,
        normalization_rule_name="identity", remove_extra_whitespaces=False, minloglevel=2,
        user_defined_symbols=["<user>"], control_symbols=["<control>"],
    )  # fmt: skip
    path = converted(
        tmp_path,
        {"tokenizer.model": buffer.getvalue(), "config.json": config("LlamaForCausalLM", "llama", 420)},
    )
    original = sentencepiece.SentencePieceProcessor(model_proto=buffer.getvalue())
    tokens = read_header(LocalFiles(path), path.name).metadata

    assert list(tokens["tokenizer.ggml.tokens"]) == [original.IdToPiece(id_) for id_ in range(420)]
    assert list(tokens["tokenizer.ggml.scores"]) == [original.GetScore(id_) for id_ in range(420)]
    with vocabulary(path) as tokenize:
        for text in TEXTS:
            assert tokenize(text, special=False, ends=False) == original.encode(text), text


def vectors(name):
    """llama.cpp's own test vectors: texts and their ids."""
    path = SHARED / f"vocab/ggml-vocab-{name}.gguf"
    if not path.is_file():
        pytest.skip(f"needs the shared file {path.name}")
    texts = Path(f"{path}.inp").read_text(encoding="utf-8").split("\n__ggml_vocab_test__\n")
    lines = Path(f"{path}.out").read_text(encoding="utf-8").split("\n")
    return path, [(text, [int(id_) for id_ in line.split()]) for text, line in zip(texts, lines, strict=False)]


def test_real_qwen2_vocabulary_passes_llama_cpps_vectors(tmp_path):
    """The published vocab.json and merges.txt, in the old layout and rebuilt as a tokenizer.json."""
    _, cases = vectors("qwen2")
    real = SHARED / "qwen2-tokenizer"
    if not real.is_dir():
        pytest.skip("needs the shared folder qwen2-tokenizer")
    old = {path.name: path.read_bytes() for path in real.iterdir()}
    old["config.json"] = config("Qwen2ForCausalLM", "qwen2", 151936)
    merges = [line.split(" ") for line in old["merges.txt"].decode().splitlines() if not line.startswith("#version")]
    new = byte_level(steps(split(QWEN2), BYTES), [])
    new["model"] |= {"vocab": json.loads(old["vocab.json"]), "merges": [pair for pair in merges if len(pair) == 2]}

    for name, files in {"old": old, "new": {"tokenizer.json": new, "config.json": old["config.json"]}}.items():
        with vocabulary(converted(tmp_path / name, files)) as tokenize:
            for text, ids in cases:
                assert tokenize(text, special=False, ends=False) == ids, (name, text)
    assert len(cases) > 40


def test_real_llama_vocabulary_passes_llama_cpps_vectors(tmp_path):
    """Llama 2's pieces, taken from llama.cpp's GGUF file and packed into a tokenizer.model again."""
    path, cases = vectors("llama-spm")
    found = read_header(LocalFiles(path), path.name).metadata
    kinds = found["tokenizer.ggml.token_type"]
    pieces = list(zip(found["tokenizer.ggml.tokens"], found["tokenizer.ggml.scores"], kinds, strict=True))
    files = {"tokenizer.model": model_file(pieces), "config.json": config("LlamaForCausalLM", "llama", len(pieces))}
    ours = converted(tmp_path, files)
    metadata = read_header(LocalFiles(ours), ours.name).metadata

    for key in ("tokens", "scores", "token_type"):
        assert metadata[f"tokenizer.ggml.{key}"] == found[f"tokenizer.ggml.{key}"], key
    with vocabulary(ours) as tokenize:
        for text, ids in cases:
            assert tokenize(text, special=False, ends=False) == ids, text
    assert len(cases) > 40
