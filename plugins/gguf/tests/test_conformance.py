"""The GGUF backend keeps the contract of backends."""

from __future__ import annotations

from pajamas.testing import BackendConformance


class TestGGUF(BackendConformance):
    backend = "gguf"
    scheme = "Q4_K_M"
    engine_modules = ("llama_cpp",)
