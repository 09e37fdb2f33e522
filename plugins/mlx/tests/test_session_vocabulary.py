"""Text into tokens and back: as the tokenizer itself does it, byte for byte."""

from __future__ import annotations

import json

import pytest
import tokenizers
from tokenizers import decoders, models, normalizers, processors

from asked import TINY
from pajamas.errors import UnsupportedModel, UsageError
from pajamas_mlx.session.vocabulary import Vocabulary

TEXTS = (
    "Hello", " two  spaces ", "line\nline\r\n\ttab", "Grüße, naïve café", "世界 こんにちは", "🦆👩‍👩‍👧 🇫🇷", "a\x00b",
    "", "x = {'a': [1]}", "<|im_start|>user\nhi<|im_end|>", "<think>a</think>",
)  # fmt: skip
BYTES = tuple(f"<0x{value:02X}>" for value in range(256))
WORDS = ("<unk>", "<s>", "</s>", *BYTES, "\u2581", "a", "b", "é", "\u2581a", "\u2581é")


@pytest.fixture
def sentencepiece(tmp_path):
    """A folder with a small tokenizer of SentencePiece's kind, as Llama 2's: a first space, bytes for the rest."""
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    made = tokenizers.Tokenizer(models.BPE(vocabulary, [("\u2581", "a"), ("\u2581", "é")], byte_fallback=True))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    made.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    made.post_processor = processors.TemplateProcessing("<s> $A </s>", None, [("<s>", 1), ("</s>", 2)])
    made.add_special_tokens(["<unk>", "<s>", "</s>"])
    return write(tmp_path, made, bos_token="<s>", eos_token="</s>")


def write(folder, tokenizer, **config):
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", **config}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    return folder


@pytest.mark.parametrize("text", TEXTS)
def test_tokens_are_the_tokenizers_own(session, text):
    tokens = session.tokenize(text)

    assert tokens == tokenizers.Tokenizer.from_file(str(TINY / "tokenizer.json")).encode(text).ids
    assert session.detokenize(tokens) == text


def test_special_tokens_are_read_only_where_they_are_meant(session):
    text = "<|im_end|>"

    assert session.tokenize(text) == [4089]
    assert len(session.tokenize(text, parse_special=False)) > 1
    assert session.detokenize(session.tokenize(text, parse_special=False)) == text
    assert session.tokenize(text) == [4089]  # the question before is forgotten


def test_a_lone_surrogate_becomes_a_question_mark(session):
    assert session.tokenize("a\ud800b") == session.tokenize("a?b")


@pytest.mark.parametrize("token", [-1, 4096, 1 << 40])
def test_a_token_that_is_none_is_refused(session, token):
    with pytest.raises(UsageError, match=str(token)):
        session.detokenize([token])


def test_sentencepiece_tokens_stand_for_bytes(sentencepiece):
    vocabulary = Vocabulary(sentencepiece, (), len(WORDS) + 5)
    tokens = vocabulary.tokenize("a bé 🦆", add_special=False, parse_special=True)

    assert vocabulary.detokenize(tokens) == "a bé 🦆"
    assert b"".join(map(vocabulary.piece, tokens)) == " a bé 🦆".encode()
    assert vocabulary.piece(len(WORDS) + 1) == b""  # the model has more rows than the tokenizer tokens
    assert vocabulary.end_tokens == {2}


def test_a_prompt_begins_once_and_does_not_end(sentencepiece):
    vocabulary = Vocabulary(sentencepiece, (), len(WORDS))

    inner = vocabulary.tokenize("a", add_special=False, parse_special=True)
    assert vocabulary.tokenize("a", add_special=True, parse_special=True) == [1, *inner, 2]
    assert vocabulary.prompt_tokens("a") == [1, *inner]
    assert vocabulary.prompt_tokens("<s>a")[:2] != [1, 1]


def test_tokens_without_bytes_are_refused(tmp_path):
    made = tokenizers.Tokenizer(models.WordPiece({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
    made.decoder = decoders.WordPiece()

    with pytest.raises(UnsupportedModel, match="WordPiece"):
        Vocabulary(write(tmp_path, made), (), 2)
