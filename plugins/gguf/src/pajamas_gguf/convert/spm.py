"""SentencePiece vocabularies: tokenizer.model, or the tokenizer.json that was made of one.

tokenizer.model is a protocol buffer (sentencepiece_model.proto of google/sentencepiece): `repeated SentencePiece pieces
= 1`, where a piece is `string piece = 1; float score = 2; Type type = 3`. Nothing else in it reaches GGUF.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Any

from attrs import frozen

from pajamas_gguf.convert.bpe import added_tokens, read_vocabulary
from pajamas_gguf.convert.vocab_files import MAX_TOKENS, AddedToken, TokenizerFiles
from pajamas_gguf.convert.vocab_tokens import TokenTable, TokenType, looks_special

_UNUSED_SCORE = -10000.0
ADDED_SCORE = -1000.0

# ModelProto.SentencePiece.Type; a user-defined piece (4) becomes a normal token, as in llama.cpp's converter.
_TYPES = {
    1: TokenType.NORMAL,
    2: TokenType.UNKNOWN,
    3: TokenType.CONTROL,
    4: TokenType.NORMAL,
    5: TokenType.UNUSED,
    6: TokenType.BYTE,
}


@frozen
class Piece:
    text: str
    score: float
    type: TokenType


def read_pieces(data: bytes) -> list[Piece]:
    """The pieces of a tokenizer.model in order of their ids.

    Raises:
        ValueError: it is not a SentencePiece model.
    """
    pieces = [_piece(bytes(value)) for number, value in _fields(data) if number == 1 and isinstance(value, memoryview)]
    if not pieces:
        raise ValueError("It holds no pieces.")
    return pieces


def read_model_file(files: TokenizerFiles, *, phi3: bool) -> TokenTable:
    """The vocabulary of tokenizer.model, corrected by the added tokens of the JSON files.

    Args:
        phi3: as llama.cpp converts Phi-3: tokenizer.json's added tokens count as well, and an added token is for
            control only where it says so.

    Raises:
        ModelFileError: a file is damaged or they do not fit together.
    """
    try:
        pieces = read_pieces(files.bytes("tokenizer.model"))
    except ValueError as error:
        raise files.error("tokenizer.model", str(error)) from error
    size = files.vocab_size or len(pieces)
    if phi3 and len(pieces) > size:
        raise files.error("tokenizer.model", f"It has {len(pieces)} pieces, but config.json's vocab_size is {size}.")
    table = TokenTable.padding(size, _UNUSED_SCORE)
    # Pieces past vocab_size have no row in the embedding.
    for id_, piece in enumerate(pieces[:size]):
        table.set(id_, piece.text, piece.type, piece.score)
    for token in files.file_added_tokens:
        if token.id < size:
            table.set(token.id, token.content, TokenType.USER_DEFINED, ADDED_SCORE)
    for token in (*files.config_added_tokens, *(files.json_added_tokens if phi3 else ())):
        if token.id < size:
            _set_added(table, token, phi3)
        elif phi3:
            raise files.error("the tokenizer", f"Added token {token.id} is past config.json's vocab_size {size}.")
    table.check(files)
    return table


def is_spm_json(files: TokenizerFiles) -> bool:
    """Whether tokenizer.json is a SentencePiece BPE in Hugging Face's form: byte fallback and a chain of decoders."""
    decoder = (files.tokenizer or {}).get("decoder")
    return (
        files.model.get("type") == "BPE"
        and files.model.get("byte_fallback") is True
        and isinstance(decoder, dict)
        and decoder.get("type") == "Sequence"
    )


def read_json_file(files: TokenizerFiles) -> TokenTable:
    """The vocabulary of a tokenizer.json for which `is_spm_json` holds.

    It has no scores; llama.cpp's converter gives all tokens one, and so does this. The table ends with the last token,
    whatever config.json's vocab_size.

    Raises:
        ModelFileError: the file is damaged, or its ids have holes.
    """
    vocabulary = read_vocabulary(files)
    added = added_tokens(files, vocabulary)
    special = {*files.named_texts(), *files.extra_texts()}
    texts = {id_: text for text, id_ in vocabulary.items()}
    base = len(texts)
    texts |= {id_: token.content for id_, token in added.items()}
    if sorted(texts) != list(range(len(texts))) or len(texts) > MAX_TOKENS:
        raise files.error("tokenizer.json", "Its token ids have holes.")
    table = TokenTable.padding(len(texts), ADDED_SCORE)
    for id_, text in sorted(texts.items()):
        if re.fullmatch("<0x[0-9A-Fa-f]{2}>", text) and id_ < base:
            type_ = TokenType.BYTE
        elif text in special:
            type_ = TokenType.CONTROL
        else:
            type_ = TokenType.NORMAL if id_ < base else TokenType.USER_DEFINED
        table.set(id_, text, type_)
    table.check(files)
    return table


def _set_added(table: TokenTable, token: AddedToken, phi3: bool) -> None:
    if token.special or (not phi3 and looks_special(token.content)):
        table.set(token.id, token.content, TokenType.CONTROL, ADDED_SCORE)
    else:
        # llama.cpp matches user-defined tokens in the text as it is, with plain spaces.
        text = token.content if phi3 else token.content.replace("▁", " ")
        table.set(token.id, text, TokenType.USER_DEFINED, ADDED_SCORE)


def _piece(data: bytes) -> Piece:
    text, score, type_ = b"", 0.0, 1
    for number, value in _fields(data):
        match number, value:
            case 1, memoryview():
                text = bytes(value)
            case 2, float():
                score = value
            case 3, int():
                type_ = value
    if not text or type_ not in _TYPES:
        raise ValueError(f"A piece is {text[:40]!r} of type {type_}.")
    return Piece(text.decode("utf-8"), score, _TYPES[type_])


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """(number, value) of each field of a protocol buffer message: int, float (32 bits) or memoryview.

    Raises:
        ValueError: it is not such a message.
    """
    view, at = memoryview(data), 0
    while at < len(view):
        tag, at = _varint(view, at)
        match tag & 7:
            case 0:
                value, at = _varint(view, at)
                yield tag >> 3, value
            case 5 if at + 4 <= len(view):
                yield tag >> 3, struct.unpack_from("<f", view, at)[0]
                at += 4
            case 1 if at + 8 <= len(view):
                at += 8
            case 2:
                length, at = _varint(view, at)
                if at + length > len(view):
                    raise ValueError(f"It ends within a field, at byte {at} of {len(view)}.")
                yield tag >> 3, view[at : at + length]
                at += length
            case _:
                raise ValueError(f"It is not a SentencePiece model: no field starts at byte {at}.")


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    """An integer of seven bits a byte, lowest first, and the place after it."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(view):
            break
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError(f"It ends within a number, or has one of more than 64 bits, at byte {at}.")
