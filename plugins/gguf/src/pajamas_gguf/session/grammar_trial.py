"""In a child process: whether the engine can take a grammar. Loads its library and nothing else, to start quickly."""

from __future__ import annotations

import ctypes
import threading
from typing import Any

from pajamas_gguf import child

_NEEDS_VOCABULARY = "no vocab to parse token"
_STACK = 512 << 10  # the smallest stack that a thread of the parent may have (macOS)


def main() -> None:
    request = child.read_request()
    threading.stack_size(_STACK)
    thread = threading.Thread(target=_try, args=(request,))
    thread.start()
    thread.join()


def _try(request: dict[str, Any]) -> None:
    library = ctypes.CDLL(request["library"])
    log: list[str] = []
    callback_type = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
    callback = callback_type(lambda _level, text, _user: log.append(text.decode("utf-8", "replace")))
    library.llama_log_set(callback, None)
    grammar = _start(library, None, request["grammar"])
    if not grammar and _NEEDS_VOCABULARY in "".join(log):
        log.clear()
        grammar = _start(library, _vocabulary(request["model"]), request["grammar"])
    child.answer({"sound": bool(grammar), "log": " ".join(" ".join(log).split())})


def _start(library: ctypes.CDLL, vocabulary: int | None, text: str) -> int | None:
    start = library.llama_sampler_init_grammar
    start.argtypes, start.restype = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p], ctypes.c_void_p
    found: int | None = start(vocabulary, text.encode(), b"root")
    return found


def _vocabulary(model: str) -> int:
    """The vocabulary alone, for a grammar that names tokens."""
    from pajamas_gguf import engine

    lib = engine.library()
    params = lib.llama_model_default_params()
    params.vocab_only = True
    vocabulary: int = lib.llama_model_get_vocab(lib.llama_model_load_from_file(model.encode(), params))
    return vocabulary


if __name__ == "__main__":
    main()
