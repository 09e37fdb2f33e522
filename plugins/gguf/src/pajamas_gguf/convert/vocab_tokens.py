"""The table of tokens that a GGUF vocabulary is: text, type and score by id."""

from __future__ import annotations

import enum

from attrs import define

from pajamas_gguf.convert.vocab_files import TokenizerFiles


class TokenType(enum.IntEnum):
    """tokenizer.ggml.token_type (llama.h, enum llama_token_type)."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@define
class TokenTable:
    """`scores` is None where the tokenizer has none (byte-level BPE)."""

    texts: list[str]
    types: list[TokenType]
    scores: list[float] | None = None

    @classmethod
    def padding(cls, size: int, score: float | None = None) -> TokenTable:
        """`size` unused tokens, to be overwritten where the tokenizer has one."""
        scores = None if score is None else [score] * size
        return cls([f"[PAD{id_}]" for id_ in range(size)], [TokenType.UNUSED] * size, scores)

    def set(self, id_: int, text: str, type_: TokenType, score: float | None = None) -> None:
        self.texts[id_] = text
        self.types[id_] = type_
        if self.scores is not None and score is not None:
            self.scores[id_] = score

    def check(self, files: TokenizerFiles) -> None:
        """Make sure that llama.cpp can load the table: two tokens of one text abort its process.

        Raises:
            ModelFileError: two tokens have one text, or there are none.
        """
        if not self.texts:
            raise files.error("the tokenizer", "It has no tokens.")
        first: dict[str, int] = {}
        for id_, text in enumerate(self.texts):
            if first.setdefault(text, id_) != id_:
                raise files.error("the tokenizer", f"Tokens {first[text]} and {id_} are both {text[:40]!r}.")


def looks_special(text: str) -> bool:
    """Whether an added token is meant for control though its file does not say so (as llama.cpp's converter judges)."""
    return (
        text in ("<pad>", "<mask>", "<2mass>", "[@BOS@]")
        or (text.startswith("<|") and text.endswith("|>"))
        or (text.startswith("<｜") and text.endswith("｜>"))
        or (text.startswith("<unused") and text.endswith(">"))
    )
