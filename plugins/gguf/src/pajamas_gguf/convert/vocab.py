"""Everything under `tokenizer.*` of a GGUF file, from a model's tokenizer files.

The keys and values are those that llama.cpp's own converter writes for the same model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import frozen

from pajamas.errors import UnsupportedModel
from pajamas.modelfiles import ModelFiles
from pajamas_gguf.convert import bpe, spm
from pajamas_gguf.convert.chat_template import template_keys
from pajamas_gguf.convert.pretokenizer import pre_tokenizer
from pajamas_gguf.convert.vocab_files import TokenizerFiles
from pajamas_gguf.convert.vocab_special import special_keys
from pajamas_gguf.convert.vocab_tokens import TokenTable

if TYPE_CHECKING:
    import gguf

_LLAMA = ("llama", "mistral", "mixtral")  # those that llama.cpp converts as Llama
_STARCODER_SIZE = 49152
_CODE_LLAMA_SIZE = 32016
_NO_SCORES = (
    "this SentencePiece tokenizer comes without tokenizer.model, so its tokens have no scores, and llama.cpp splits "
    "many words differently from the original: put the base model's tokenizer.model beside it and convert again"
)
_NO_BYTES = "llama.cpp's process dies on text that needs them"


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
    notes: tuple[str, ...] = ()
    """What a person should know before trusting the file's tokenization."""


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
        notes=_notes(keys),
    )


def _notes(keys: Mapping[str, Any]) -> tuple[str, ...]:
    if keys["tokenizer.ggml.model"] != "llama":
        return ()
    notes = []
    if set(keys["tokenizer.ggml.scores"]) == {spm.ADDED_SCORE}:
        notes.append(_NO_SCORES)
    missing = {f"<0x{byte:02X}>" for byte in range(256)}.difference(keys["tokenizer.ggml.tokens"])
    if missing:
        notes.append(f"this SentencePiece tokenizer lacks {len(missing)} of the 256 byte tokens: {_NO_BYTES}")
    return tuple(notes)


def vocab_keys(files: ModelFiles, config: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that `write_vocab` writes: str, bool, int (uint32), or a list of str, int (int32) or float (float32).

    Raises:
        as `write_vocab`.
    """
    source = TokenizerFiles(files, config)
    keys: dict[str, Any] = {}
    if source.family in _LLAMA:
        prefix = (source.config or {}).get("add_prefix_space")
        if prefix is not None:
            if not isinstance(prefix, bool):
                raise source.error("tokenizer_config.json", "add_prefix_space is not true or false.")
            keys["tokenizer.ggml.add_space_prefix"] = prefix
    if _has_model_file(source):
        keys |= _sentencepiece_keys(source, spm.read_model_file(source, phi3=source.family == "phi3"))
    elif spm.is_spm_json(source):
        keys |= _sentencepiece_keys(source, spm.read_json_file(source))
    else:
        keys |= _byte_level_keys(source)
    if source.family in _LLAMA and source.vocab_size == _STARCODER_SIZE:
        # Granite's code models have StarCoder's vocabulary, which names a first token and never puts it first.
        keys["tokenizer.ggml.add_bos_token"] = False
    if source.family in _LLAMA and source.vocab_size == _CODE_LLAMA_SIZE:
        keys["tokenizer.ggml.eot_token_id"] = 32010
    keys |= template_keys(source)
    _check_unicode(source, keys)
    return keys


def _check_unicode(source: TokenizerFiles, keys: Mapping[str, Any]) -> None:
    """JSON can hold half of a surrogate pair; GGUF holds UTF-8."""
    for key, value in keys.items():
        texts = value if isinstance(value, list) else [value]
        try:
            "".join(text for text in texts if isinstance(text, str)).encode()
        except UnicodeEncodeError as error:
            raise source.error("the tokenizer", f"{key} is not valid Unicode: {error.reason}.") from error


def _has_model_file(source: TokenizerFiles) -> bool:
    """Whether tokenizer.model decides, as it does for llama.cpp's converter in these families."""
    if "tokenizer.model" not in source.files.sizes() or source.family in ("qwen2_moe", "qwen3_moe"):
        return False
    return source.family != "phi3" or source.tokenizer_class != "GPT2Tokenizer"


def _sentencepiece_keys(source: TokenizerFiles, table: TokenTable) -> dict[str, Any]:
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.tokens": table.texts,
        "tokenizer.ggml.scores": table.scores,
        "tokenizer.ggml.token_type": [int(type_) for type_ in table.types],
        **special_keys(source, len(table.texts)),
    }


def _byte_level_keys(source: TokenizerFiles) -> dict[str, Any]:
    if source.tokenizer is None and "tekken.json" in source.files.sizes():
        raise UnsupportedModel(
            f"The tokenizer of {source.files.origin} is in Mistral's own form only (tekken.json).",
            "The converter reads Hugging Face's tokenizer.json.",
            "Take a repository that has tokenizer.json, or convert with --converter llama.cpp.",
        )
    kind = source.model.get("type", "BPE")  # old files do not say it
    if kind != "BPE":
        raise UnsupportedModel(
            f"The tokenizer of {source.files.origin} is of a kind that these families do not use.",
            f"tokenizer.json has a model of type {str(kind)[:40]!r}.",
            "Convert it with --converter llama.cpp.",
        )
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
