"""A model's fast tokenizer: text into tokens, tokens into bytes. For backends that load Hugging Face folders."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from pajamas.errors import ModelFileError, UnsupportedModel, UsageError

# Chat models end their turns with these, also where their files name another token only.
_END_OF_TURN = ("<|im_end|>", "<end_of_turn>", "<|eot_id|>", "<|end|>")
_NAMES = ("bos_token", "eos_token", "pad_token", "unk_token")
_SPACE = "\u2581"


class FastVocabulary:
    """What a fast tokenizer of transformers knows; no code of a model is run.

    :param load: makes the tokenizer of the folder's files.
    :param ends: tokens that end an answer, besides the tokenizer's own eos and what chat models end their turns with.
    :param size: rows of the model's output; tokens beyond the tokenizer's have no text.

    Raises:
        ModelFileError: the files are damaged.
        UnsupportedModel: the tokenizer is of a kind whose tokens do not stand for bytes.
    """

    def __init__(self, load: Callable[[], Any], folder: Path, ends: Iterable[int], size: int) -> None:
        try:
            self._tokenizer = load()
            self._backend = self._tokenizer.backend_tokenizer
        except Exception as error:  # tokenizers raises Exception itself, transformers whatever a file makes it
            raise _damaged(folder, error) from error
        except BaseException as error:
            if type(error).__name__ != "PanicException":  # what a panic of Rust code becomes
                raise
            raise _damaged(folder, error) from error
        self.size = size
        self._lock = threading.Lock()
        self._added: dict[int, str] = {
            number: token.content for number, token in self._backend.get_added_tokens_decoder().items()
        }
        self._pieces: dict[int, bytes] = {}
        self._byte_level, self._strips = _spelling(self._backend.decoder, folder)
        named = {self._backend.token_to_id(text) for text in _END_OF_TURN if text in self._added.values()}
        found = {*ends, self._tokenizer.eos_token_id, *named}
        self.end_tokens = frozenset(token for token in found if isinstance(token, int) and 0 <= token < size)

    @property
    def special_tokens(self) -> Mapping[str, str]:
        found = ((name, getattr(self._tokenizer, name)) for name in _NAMES)
        return {name: str(text) for name, text in found if text is not None}

    @property
    def chat_template(self) -> str | None:
        found = self._tokenizer.chat_template
        if isinstance(found, dict):
            found = found.get("default")
        return found if isinstance(found, str) else None

    @cached_property
    def serialized(self) -> str:
        """The tokenizer as the text of a tokenizer.json."""
        text: str = self._backend.to_str()
        return text

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """As `Session.tokenize`. A bos that the text begins with is not added again; a lone surrogate becomes "?"."""
        data = text.encode("utf-8", "replace").decode()
        with self._lock:  # reading special tokens or not is a state of the tokenizer
            self._backend.encode_special_tokens = not parse_special
            found: list[int] = self._backend.encode(data, add_special_tokens=add_special).ids
        bos = self._tokenizer.bos_token_id
        if add_special and bos is not None and found[:2] == [bos, bos]:
            del found[0]
        return found

    def prompt_tokens(self, text: str) -> list[int]:
        """A rendered prompt's tokens: special ones in the text are meant, and no eos follows the prompt."""
        tokens = self.tokenize(text, add_special=True, parse_special=True)
        if self._adds_eos and len(tokens) > 1:
            tokens.pop()
        return tokens

    def detokenize(self, tokens: list[int]) -> str:
        """The text, special tokens included; bytes that are no UTF-8 become U+FFFD."""
        self.check(tokens)
        text = b"".join(map(self.piece, tokens)).decode("utf-8", "replace")
        return text[1:] if self._strips and tokens and tokens[0] not in self._added and text[:1] == " " else text

    def piece(self, token: int) -> bytes:
        """The bytes that one token stands for; a special token's are its text."""
        known = self._pieces.get(token)
        if known is None:
            known = self._pieces[token] = self._spelled(token)
        return known

    def check(self, tokens: Iterable[int]) -> None:
        """Refuse an id that the model lacks: an engine would compute with whatever lies there.

        Raises:
            UsageError: there is one.
        """
        wrong = next((token for token in tokens if not 0 <= token < self.size), None)
        if wrong is not None:
            raise UsageError(f"There is no token {wrong}.", f"The vocabulary has {self.size:,}.", "")

    @cached_property
    def _adds_eos(self) -> bool:
        eos = self._tokenizer.eos_token_id
        return eos is not None and self.tokenize("a", add_special=True, parse_special=False)[-1:] == [eos]

    def _spelled(self, token: int) -> bytes:
        if token in self._added:
            return self._added[token].encode()
        text = self._backend.id_to_token(token)
        if text is None:
            return b""
        if self._byte_level:
            values = [_BYTES.get(character) for character in text]
            return text.encode() if None in values else bytes(value for value in values if value is not None)
        if len(text) == 6 and text.startswith("<0x") and text.endswith(">"):
            return bytes.fromhex(text[3:5])
        spelled: str = text.replace(_SPACE, " ")
        return spelled.encode()


def _byte_characters() -> dict[str, int]:
    """GPT-2's spelling of bytes: printable ones stand for themselves, the rest follow from U+0100 on.

    Source: https://github.com/openai/gpt-2/blob/master/src/encoder.py
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    rest = [value for value in range(0x100) if value not in printable]
    return {chr(value): value for value in printable} | {chr(0x100 + n): value for n, value in enumerate(rest)}


_BYTES = _byte_characters()


def _spelling(decoder: Any, folder: Path) -> tuple[bool, bool]:
    """Whether tokens are spelled in GPT-2's bytes, else in SentencePiece's way; and if a first space is dropped."""
    state = {} if decoder is None else json.loads(decoder.__getstate__())
    parts = state.get("decoders", [state])
    kinds = {part.get("type") for part in parts}
    if "ByteLevel" in kinds:
        return True, False
    if "ByteFallback" in kinds or "Metaspace" in kinds:
        prepends = any(part.get("type") == "Metaspace" and part.get("prepend_scheme") != "never" for part in parts)
        return False, prepends or any(part.get("type") == "Strip" and part.get("start") for part in parts)
    raise UnsupportedModel(
        f"The tokenizer of {folder} is of an unknown kind.",
        f"Its decoder is {', '.join(sorted(map(str, kinds))) or 'none'}: what bytes its tokens stand for is not known.",
        "Convert the model for another backend.",
    )


def _damaged(folder: Path, error: BaseException) -> ModelFileError:
    why = f"{type(error).__name__}: {' '.join(str(error).split())}"[:500]
    return ModelFileError(f"The tokenizer of {folder} cannot be loaded.", why, "Get the model again.")
