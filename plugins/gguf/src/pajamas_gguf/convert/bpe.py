"""Byte-level BPE (GPT-2's kind): tokenizer.json, or vocab.json with merges.txt."""

from __future__ import annotations

from collections.abc import Mapping

from pajamas.errors import ModelFileError
from pajamas_gguf.convert.vocab_files import AddedToken, TokenizerFiles
from pajamas_gguf.convert.vocab_tokens import TokenTable, TokenType, looks_special

_SPACE_AS_BYTE = "Ġ"


def read_vocabulary(files: TokenizerFiles) -> dict[str, int]:
    """The base vocabulary, text to id: no added tokens.

    Raises:
        ModelFileError: there is none, or it is not a vocabulary.
    """
    if files.tokenizer is not None:
        name, found = "tokenizer.json", files.model.get("vocab")
    else:
        name, found = "vocab.json", files.json("vocab.json")
        if found is None:
            raise ModelFileError(
                f"{files.files.origin} has no tokenizer.",
                "There is no tokenizer.json, no tokenizer.model and no vocab.json.",
                "Take these files from the base model's repository.",
            )
    if not isinstance(found, dict) or not found:
        raise files.error(name, "It holds no vocabulary of text to id.")
    vocabulary = {text: files.token_id(id_, name) for text, id_ in found.items()}
    if len(set(vocabulary.values())) < len(vocabulary):
        raise files.error(name, "Two texts have one id.")
    return vocabulary


def read_merges(files: TokenizerFiles, vocabulary: Mapping[str, int]) -> list[str]:
    """GGUF's merges, "left right" in order of rank, from either form of tokenizer.json or from merges.txt.

    Raises:
        ModelFileError: there are none, or one of them does not join two tokens to a third.
    """
    found = files.model.get("merges") or _merges_file(files)
    if not isinstance(found, list) or not found:
        raise files.error("the tokenizer", "Its BPE has no merges.")
    merges = []
    for merge in found:
        pair = merge.split(" ") if isinstance(merge, str) else merge
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(part, str) and part for part in pair):
            raise files.error("the tokenizer", f"{str(merge)[:60]!r} is not a merge of two tokens.")
        left, right = pair
        if left not in vocabulary or right not in vocabulary or left + right not in vocabulary:
            raise files.error("the tokenizer", f"The merge {left!r} {right!r} uses tokens outside the vocabulary.")
        # A space inside a part would read as the border between the parts.
        merges.append(f"{left.replace(' ', _SPACE_AS_BYTE)} {right.replace(' ', _SPACE_AS_BYTE)}")
    return merges


def read_tokens(files: TokenizerFiles, vocabulary: Mapping[str, int]) -> TokenTable:
    """Every id below config.json's vocab_size: base tokens, added tokens with their types, [PADn] in between.

    Raises:
        ModelFileError: an id is at or past vocab_size, or two tokens share one.
    """
    added = added_tokens(files, vocabulary)
    highest = max([*vocabulary.values(), *added])
    size = files.vocab_size or highest + 1
    if highest >= size:
        raise files.error("the tokenizer", f"It has token {highest}, but config.json's vocab_size is {size}.")
    table = TokenTable.padding(size)
    for text, id_ in vocabulary.items():
        table.set(id_, text, TokenType.NORMAL)
    for token in added.values():
        text = token.content if token.normalized else _decoded(token.content)
        if token.special or looks_special(text):
            table.set(token.id, text, TokenType.CONTROL)
        else:
            table.set(token.id, text.replace("▁", " "), TokenType.USER_DEFINED)
    table.check(files)
    return table


def added_tokens(files: TokenizerFiles, vocabulary: Mapping[str, int]) -> dict[int, AddedToken]:
    """Added tokens by id, as transformers sees them.

    They are tokenizer.json's, corrected by tokenizer_config.json's (or added_tokens.json's), and the named special
    tokens, which get the next id where the vocabulary lacks them.

    Raises:
        ModelFileError: two of them claim one id.
    """
    ids = dict(vocabulary)
    texts = {id_: text for text, id_ in vocabulary.items()}
    found: dict[int, AddedToken] = {}
    for token in (*files.json_added_tokens, *(files.config_added_tokens or files.file_added_tokens)):
        taken = texts.setdefault(token.id, token.content)
        if taken != token.content or ids.setdefault(token.content, token.id) != token.id:
            raise files.error("the tokenizer", f"Added token {token.content[:40]!r} does not fit its id {token.id}.")
        found[token.id] = token
    qwen = files.loading_class == "Qwen2Tokenizer"  # it makes everything that is listed anywhere special
    named, listed = files.named_texts(), files.extra_texts()
    for text in dict.fromkeys((*named, *listed)):
        if text not in ids:
            ids[text] = max(texts, default=-1) + 1
            texts[ids[text]] = text
        id_ = ids[text]
        known = found.get(id_)
        if known is None or qwen or text in named:
            normalized = known is not None and known.normalized and not qwen
            found[id_] = AddedToken(id_, text, True, normalized)
    return found


def _merges_file(files: TokenizerFiles) -> list[str]:
    lines = (files.text("merges.txt") or "").splitlines() or [""]
    if lines[0].startswith("#"):
        del lines[0]
    return [" ".join(line.split()) for line in lines if line.strip()]


def _byte_alphabet() -> dict[str, int]:
    """GPT-2's letters for the 256 bytes: printable Latin-1 stands for itself, the others for U+0100 and on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    letters = {chr(byte): byte for byte in printable}
    for offset, byte in enumerate(byte for byte in range(256) if byte not in set(printable)):
        letters[chr(256 + offset)] = byte
    return letters


_BYTES = _byte_alphabet()


def _decoded(text: str) -> str:
    """What the byte-level decoder makes of a token that was added as it is."""
    if any(letter not in _BYTES for letter in text):
        return text
    return bytes(_BYTES[letter] for letter in text).decode("utf-8", errors="replace")
