"""What to do about a model that pajamas' own converter does not understand."""

from __future__ import annotations

INSTALL = "pip install 'pajamas-gguf[llama-cpp-converter]'"
OTHER_CONVERTER = (
    "llama.cpp's own converter may understand it: --converter llama.cpp "
    f"(needs {INSTALL}, or PAJAMAS_LLAMA_CPP=a llama.cpp source tree and torch)."
)
