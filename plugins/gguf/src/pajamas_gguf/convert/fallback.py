"""What to do about a model that pajamas' own converter does not understand."""

from __future__ import annotations

INSTALL = "pip install 'pajamas-gguf[llama-cpp-converter]'"
OTHER_CONVERTER = f"llama.cpp's own converter may understand it: --converter llama.cpp (needs {INSTALL})"
