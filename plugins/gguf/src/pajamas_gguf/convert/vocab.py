"""Everything under `tokenizer.*` of a GGUF file, from a model's tokenizer files.

The keys and values are those that llama.cpp's own converter writes for the same model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import frozen
from pajamas.modelfiles import ModelFiles

from pajamas_gguf.convert import bpe
from pajamas_gguf.convert.chat_template import template_keys
from pajamas_gguf.convert.pretokenizer import pre_tokenizer
from pajamas_gguf.convert.vocab_files import TokenizerFiles
from pajamas_gguf.convert.vocab_special import special_keys

if TYPE_CHECKING:
    import gguf


@frozen(kw_only=True)
class VocabFacts:
    """What was written, for the receipt."""

    kind: str
    """tokenizer.ggml.model: "gpt2" (byte-level BPE) or "llama" (SentencePiece)."""
    pre: str
    """tokenizer.ggml.pre."""
    size: int
    """Tokens, unused ones included."""
    tokenizer_digest: str
    """As `pajamas.digests.tokenizer_digest` of the finished file."""
    template_digest: str | None
    """As `pajamas.digests.template_digest` of the finished file."""


def write_vocab(files: ModelFiles, config: Mapping[str, Any], writer: gguf.GGUFWriter) -> VocabFacts:
    """Write every `tokenizer.*` key of the model to `writer`; `config` is its config.json.

    Nothing is written if anything is wrong.

    Raises:
        ModelFileError: a tokenizer file is missing, damaged, or does not fit config.json.
        UnsupportedModel: llama.cpp has no tokenizer like it.
    """
    keys = vocab_keys(files, config)
    for key, value in keys.items():
        _add(writer, key, value)
    tokens = {key: value for key, value in sorted(keys.items()) if key.startswith("tokenizer.ggml.")}
    template = keys.get("tokenizer.chat_template")
    return VocabFacts(
        kind=keys["tokenizer.ggml.model"],
        pre=keys["tokenizer.ggml.pre"],
        size=len(keys["tokenizer.ggml.tokens"]),
        tokenizer_digest=_digest(json.dumps(tokens, ensure_ascii=False, sort_keys=True)),
        template_digest=None if template is None else _digest(template),
    )


def vocab_keys(files: ModelFiles, config: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that `write_vocab` writes: str, bool, int (uint32), or a list of str, int (int32) or float (float32).

    Raises:
        as `write_vocab`.
    """
    source = TokenizerFiles(files, config)
    keys = _byte_level_keys(source)
    return keys | template_keys(source)


def _byte_level_keys(source: TokenizerFiles) -> dict[str, Any]:
    vocabulary = bpe.read_vocabulary(source)
    table = bpe.read_tokens(source, vocabulary)
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre_tokenizer(source, set(table.texts)),
        "tokenizer.ggml.tokens": table.texts,
        "tokenizer.ggml.token_type": [int(type_) for type_ in table.types],
        "tokenizer.ggml.merges": bpe.read_merges(source, vocabulary),
        **special_keys(source, len(table.texts)),
    }


def _add(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    match value:
        case bool():
            writer.add_bool(key, value)
        case int():
            writer.add_uint32(key, value)
        case str():
            writer.add_string(key, value)
        case _:
            writer.add_array(key, value)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
