"""GBNF grammars: which tokens may come next."""

from __future__ import annotations

import ctypes
import weakref
from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np

from pajamas.errors import UsageError
from pajamas_gguf import child, engine
from pajamas_gguf.session.chain import Candidates

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from pajamas_gguf.session.model import Model

_TIMEOUT = 10.0
_LARGEST = 1 << 20
_sound: OrderedDict[str, None] = OrderedDict()


class Grammar:
    """A grammar at its current place. The root rule is `root`.

    Raises:
        UsageError: the text is no grammar, or one that the engine cannot take: it is tried in a child process, since a
            hostile one can overflow the engine's stack.
    """

    def __init__(self, text: str, model: Model) -> None:
        model.need_texts()
        _try_in_child(text, model.path)
        lib = engine.library()
        engine.forget_errors()
        pointer = lib.llama_sampler_init_grammar(model.vocabulary, text.encode(), b"root")
        if not pointer:
            raise _no_grammar(engine.last_error())
        # The vocabulary that it refers to lives as long as the model.
        self._model = model
        self.close = weakref.finalize(self, lib.llama_sampler_free, pointer)
        self._pointer = pointer
        self._lib = lib
        self._ends = sorted(model.end_tokens)
        self._candidates = Candidates()

    @property
    def complete(self) -> bool:
        """Whether the answer may end here."""
        return bool(self.allows(self._ends).any())

    def allows(self, ids: NDArray[np.intp] | list[int]) -> NDArray[np.bool_]:
        """For each token whether it may come next; for end tokens whether the answer may end."""
        array = np.asarray(ids, np.intp)
        self._candidates.fill(array, np.zeros(len(array), np.float32))
        self._lib.llama_sampler_apply(self._pointer, ctypes.byref(self._candidates.struct))
        allowed: NDArray[np.bool_] = self._candidates.logits == 0
        return allowed

    def accept(self, token: int) -> None:
        """Go on by a token that is allowed. (The engine aborts the process for another.)"""
        self._lib.llama_sampler_accept(self._pointer, token)


def _try_in_child(text: str, model: Path) -> None:
    for wrong, why in (
        (not text.strip(), "It is empty."),
        ("\0" in text, "It holds a NUL character."),
        (len(text) > _LARGEST, f"It is longer than {_LARGEST:,} characters."),
    ):
        if wrong:
            raise _no_grammar(why)
    if text in _sound:
        _sound.move_to_end(text)
        return
    request = {"library": engine.library()._lib._name, "grammar": text, "model": str(model)}
    found = child.run("pajamas_gguf.session.grammar_trial", request, _TIMEOUT)
    if isinstance(found, child.Crash):
        raise _no_grammar(f"llama.cpp does not survive it: {found.why}.")
    if not found["sound"]:
        raise _no_grammar(found["log"] or "llama.cpp does not say why.")
    _sound[text] = None
    if len(_sound) > 64:
        _sound.popitem(last=False)


def _no_grammar(why: str) -> UsageError:
    return UsageError("The grammar cannot be used.", why, "Write it in GBNF, with a rule named root.")
