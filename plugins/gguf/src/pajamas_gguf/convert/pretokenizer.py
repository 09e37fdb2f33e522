"""Which of llama.cpp's pre-tokenizers a model's tokenizer.json describes (`tokenizer.ggml.pre`).

llama.cpp's converter recognizes a tokenizer by the hash of the tokens that it makes of a test text, so it knows only
vocabularies that it has seen. Here the pre-tokenizer's own steps decide: any vocabulary trained with Qwen2's pattern is
"qwen2". Where several names stand for one pattern, tokens that only one family has decide between them.

The patterns are those of the models' own tokenizer.json; what llama.cpp does under each name is in src/llama-vocab.cpp.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from pajamas.errors import UnsupportedModel
from pajamas_gguf.convert.vocab_files import TokenizerFiles

_DIGITS = "<single digits>"  # a step of its own, not a pattern
_CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_WORD = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_MARK = r" ?[^\s\p{L}\p{N}]+[\r\n]*"
_SPACE = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_CASED = (rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+", rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*")
_CASED_MARK = r" ?[^\s\p{L}\p{N}]+[\r\n/]*"
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_HAN = "[一-龥ࠀ-一가-퟿]+"
_CRLF = "\r\n"  # these models' files hold the characters themselves, not their escapes
_DEEPSEEK_V3 = (
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"""
    rf"|[^{_CRLF}\p{{L}}\p{{P}}\p{{S}}]?[\p{{L}}\p{{M}}]+| ?[\p{{P}}\p{{S}}]+[{_CRLF}]*"
    rf"|\s*[{_CRLF}]+|\s+(?!\S)|\s+"
)
# 400 characters that name the cased letters of Unicode by their ranges; how they begin tells enough.
_CASED_LETTERS, _CASED_LETTERS_START = "<cased letters>", r"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿ"

_NAMES: dict[tuple[str, ...], str] = {
    (rf"{_CONTRACTIONS}|{_WORD}|\p{{N}}|{_MARK}|{_SPACE}",): "qwen2",
    (_CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|" + _SPACE,): "qwen35",
    (rf"{_CONTRACTIONS}|{_WORD}|\p{{N}}{{1,3}}|{_MARK}|{_SPACE}",): "llama-bpe",
    (r"\p{N}{1,3}", rf"{_CONTRACTIONS}|{_WORD}|\p{{N}}+|{_MARK}|{_SPACE}"): "minicpm5",
    (rf"{_CASED[0]}|{_CASED[1]}|\p{{N}}|{_CASED_MARK}|{_SPACE}",): "tekken",
    (rf"{_CASED[0]}{_CONTRACTIONS}?|{_CASED[1]}{_CONTRACTIONS}?|\p{{N}}{{1,3}}|{_CASED_MARK}|{_SPACE}",): "gpt-4o",
    (_GPT2,): "gpt-2",
    (_DIGITS, _GPT2): "starcoder",
    (r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", _DEEPSEEK_V3): "deepseek-v3",
    ("[\r\n]", _CASED_LETTERS, r"\s?[!-/:-~！-／：-～‘-‟　-。]+", r"\s+$", _HAN, _DIGITS): "deepseek-llm",
    ("[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", _HAN, _DIGITS): "deepseek-coder",
}

_LLAMA3 = {"<|begin_of_text|>"}
_OPENAI = {"<|endofprompt|>", "<|im_sep|>"}

# What transformers builds for a tokenizer class whose model ships no tokenizer.json.
_CLASS_NAMES = {"Qwen2Tokenizer": "qwen2", "GPT2Tokenizer": "gpt-2"}


def pre_tokenizer(files: TokenizerFiles, vocabulary: Set[str]) -> str:
    """The name for `tokenizer.ggml.pre`; `vocabulary` holds every token's text.

    Raises:
        UnsupportedModel: llama.cpp has no pre-tokenizer for these steps, which the message shows.
        ModelFileError: tokenizer.json holds something else than it should.
    """
    if files.tokenizer is None:
        if (name := _CLASS_NAMES.get(files.tokenizer_class)) is None:
            raise _unknown(files, f"no tokenizer.json, and tokenizer class {files.tokenizer_class or 'not stated'!r}")
        return name
    steps = _steps(files, files.tokenizer)
    name = _NAMES.get(steps)
    if name is None:
        raise _unknown(files, " then ".join(steps) or "no steps")
    return _variant(name, files, vocabulary)


def _variant(name: str, files: TokenizerFiles, vocabulary: Set[str]) -> str:
    """The name among those that share a pattern: they differ in special tokens and in llama.cpp's defaults."""
    deepseek = "<｜begin▁of▁sentence｜>" in vocabulary
    match name:
        case "qwen2" if deepseek:
            return "deepseek-r1-qwen"
        case "llama-bpe" if "[INST]" in vocabulary:
            return "pixtral"  # Mistral's vocabulary with Llama 3's pattern
        case "llama-bpe" if not (files.model.get("ignore_merges") is True or deepseek or _LLAMA3 & vocabulary):
            # The same pattern without Llama 3's way to merge: OpenAI's cl100k vocabulary, as Phi-4 has it.
            return "llama-bpe" if files.family == "llama" and not _OPENAI & vocabulary else "dbrx"
        case "gpt-4o" if _LLAMA3 & vocabulary:
            return "llama4"
        case "starcoder" if files.family == "llama":
            return "refact" if "<fim_prefix>" in vocabulary else "smollm"
    return name


def _steps(files: TokenizerFiles, tokenizer: Mapping[str, Any]) -> tuple[str, ...]:
    """The pre-tokenizer's steps before the bytes: a pattern each, or a description in angle brackets."""
    pre = files.object(tokenizer, "pre_tokenizer", "tokenizer.json")
    chain = files.objects(pre.get("pretokenizers"), "pretokenizers") if pre.get("type") == "Sequence" else [pre]
    steps = [_step(step) for step in chain]
    if steps and steps[-1] == "<bytes>":
        return tuple(steps[:-1])
    if steps and steps[-1] == "<bytes, GPT-2's pattern>":
        return (*steps[:-1], _GPT2)
    return (*steps, "<no byte level>")


def _step(step: Mapping[str, Any]) -> str:
    pattern = step.get("pattern")
    regex = pattern.get("Regex") if isinstance(pattern, dict) else None
    match step.get("type"), step.get("behavior"), step.get("invert", False):
        # What a pattern matches as words, or what lies between its matches dropped: the same where it matches all.
        case ("Split", "Isolated", False) | ("Split", "Removed", True) if isinstance(regex, str):
            return _CASED_LETTERS if regex.startswith(_CASED_LETTERS_START) else regex
        case ("Digits", _, _) if step.get("individual_digits") is True:
            return _DIGITS
        case ("ByteLevel", _, _) if step.get("add_prefix_space") is False:
            return "<bytes>" if step.get("use_regex") is False else "<bytes, GPT-2's pattern>"
    text = str({key: value for key, value in step.items() if key != "trim_offsets"})
    return f"<{text[:300]}>"


def _unknown(files: TokenizerFiles, what: str) -> UnsupportedModel:
    return UnsupportedModel(
        f"The tokenizer of {files.files.origin} splits text in a way that llama.cpp does not know.",
        f"Its pre-tokenizer: {what}.",
        "Convert it with --converter llama.cpp, which may know it by its vocabulary.",
    )
