"""A loaded model and its vocabulary, over llama.cpp's pointers."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from pajamas.errors import EngineError, UsageError
from pajamas_gguf import engine
from pajamas_gguf.checkup import refused
from pajamas_gguf.parameters import Parameters
from pajamas_gguf.session.interrupt import Interrupt
from pajamas_gguf.session.uses import Uses

# The engine knows most by their text, but only where the file gives them a special type.
_END_OF_TURN = ("<|im_end|>", "<end_of_turn>", "<|eot_id|>")
_NO_VOCABULARY = 0


class Model:
    """Weights and vocabulary.

    :param metadata: of the file's header.
    :param end_tokens: if they are known from an earlier load.

    Raises:
        ModelFileError: the engine refuses the file.
    """

    def __init__(
        self,
        path: Path,
        parameters: Parameters,
        metadata: Mapping[str, Any],
        end_tokens: frozenset[int] | None = None,
    ) -> None:
        lib = engine.library()
        params, kept = parameters.for_model()
        interrupt = Interrupt()
        # Between tensors the engine asks whether to go on.
        callback = lib.llama_progress_callback(lambda _progress, _user: not interrupt.wanted)
        params.progress_callback = callback
        engine.forget_errors()
        with engine.recorded() as self.load_log, interrupt:
            pointer = lib.llama_model_load_from_file(str(path).encode(), params)
        del kept, callback
        if not pointer:
            raise refused(path, engine.last_error())
        self.path = path
        self.pointer: int = pointer
        self.uses = Uses(lambda: lib.llama_model_free(pointer))
        """Hold it to read the vocabulary where the session may be closed meanwhile."""
        self.close = weakref.finalize(self, self.uses.close)
        self._lib = lib
        self._vocabulary = lib.llama_model_get_vocab(pointer)
        self._metadata = metadata
        self._end_tokens = end_tokens
        # Asked for a text without one, the engine aborts the process.
        self._has_texts = lib.llama_vocab_type(self._vocabulary) != _NO_VOCABULARY
        self._pieces: dict[int, bytes] = {}
        self.vocabulary_size: int = lib.llama_vocab_n_tokens(self._vocabulary)
        self.size: int = lib.llama_model_size(pointer)
        self.has_encoder: bool = lib.llama_model_has_encoder(pointer)
        self.is_recurrent: bool = lib.llama_model_is_recurrent(pointer) or lib.llama_model_is_hybrid(pointer)
        self.sliding_window: int = lib.llama_model_n_swa(pointer)

    @property
    def vocabulary(self) -> Any:
        """The `llama_vocab` pointer."""
        return self._vocabulary

    @cached_property
    def end_tokens(self) -> frozenset[int]:
        """Tokens that end an answer: the file's EOS and EOT, and tokens with the texts that chat models end with."""
        if self._end_tokens is not None:
            return self._end_tokens
        ends = {
            token
            for token in range(self.vocabulary_size)
            if self._lib.llama_vocab_is_eog(self._vocabulary, token)
        }  # fmt: skip
        texts = self._metadata.get("tokenizer.ggml.tokens", ())
        ends.update(texts.index(text) for text in _END_OF_TURN if text in texts)
        return frozenset(ends)

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Token ids. With `add_special` a BOS stands first where the vocabulary wants one, and never twice.

        Raises:
            EngineError: the model has no vocabulary, or the text is too long for the engine (2^31 bytes).
        """
        self.need_texts()
        data = text.encode("utf-8", "replace")  # a lone surrogate becomes "?"
        room = len(data) + 16
        while True:
            tokens = (ctypes.c_int32 * room)()
            count = self._lib.llama_tokenize(
                self._vocabulary, data, len(data), tokens, room, add_special, parse_special
            )
            if count >= 0:
                break
            if -count <= room:
                raise EngineError(
                    "The text is too long for llama.cpp's tokenizer.", f"It has {len(data):,} bytes.", "Shorten it."
                )
            room = -count
        found = list(tokens[:count])
        bos = self._lib.llama_vocab_bos(self._vocabulary)
        if add_special and found[:2] == [bos, bos] and self._lib.llama_vocab_get_add_bos(self._vocabulary):
            # The template has written it, and the vocabulary adds it.
            del found[0]
        return found

    def prompt_tokens(self, text: str) -> list[int]:
        """A rendered prompt's tokens: special ones in the text are meant, and no EOS follows the prompt."""
        tokens = self.tokenize(text, add_special=True, parse_special=True)
        if self._lib.llama_vocab_get_add_eos(self._vocabulary) and len(tokens) > 1:
            tokens.pop()  # one is added whatever the text ends with
        return tokens

    def detokenize(self, tokens: list[int]) -> str:
        """The text, special tokens included; bytes that are no UTF-8 become U+FFFD."""
        self.need_texts()
        self.check_tokens(tokens)
        array = (ctypes.c_int32 * len(tokens))(*tokens)
        room = 16 * len(tokens) + 64
        for _ in range(2):
            buffer = ctypes.create_string_buffer(room)
            length = self._lib.llama_detokenize(self._vocabulary, array, len(tokens), buffer, room, False, True)
            if length >= 0:
                return buffer.raw[:length].decode("utf-8", "replace")
            room = -length
        raise EngineError("llama.cpp cannot turn these tokens into text.", engine.last_error(), "")

    def piece(self, token: int) -> bytes:
        """The bytes that one token stands for; a special token's are its text. No bytes without a vocabulary."""
        known = self._pieces.get(token)
        if known is None and not self._has_texts:
            return b""
        if known is None:
            buffer = ctypes.create_string_buffer(256)
            length = self._lib.llama_token_to_piece(self._vocabulary, token, buffer, 256, 0, True)
            if length < 0:
                buffer = ctypes.create_string_buffer(-length)
                length = self._lib.llama_token_to_piece(self._vocabulary, token, buffer, -length, 0, True)
            known = self._pieces[token] = buffer.raw[: max(length, 0)]
        return known

    def check_tokens(self, tokens: list[int] | tuple[int, ...]) -> None:
        """Refuse an id that the vocabulary lacks: the engine would abort the process.

        Raises:
            UsageError: there is one.
        """
        if tokens and (min(tokens) < 0 or max(tokens) >= self.vocabulary_size):
            wrong = next(token for token in tokens if not 0 <= token < self.vocabulary_size)
            raise UsageError(f"There is no token {wrong}.", f"The vocabulary has {self.vocabulary_size:,} tokens.", "")

    def need_texts(self) -> None:
        """Refuse what needs the texts of tokens.

        Raises:
            EngineError: the model has no vocabulary.
        """
        if not self._has_texts:
            raise EngineError(
                "This model has no vocabulary.", "Its file names no tokenizer.", "Give token ids, not text."
            )
