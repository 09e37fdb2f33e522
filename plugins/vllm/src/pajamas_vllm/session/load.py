"""From a folder to a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pajamas_vllm import engine
from pajamas_vllm.session.facts import read_facts
from pajamas_vllm.session.parameters import resolve
from pajamas_vllm.session.session import VLLMSession

if TYPE_CHECKING:
    from pajamas.types import Artifact, LoadOptions


def load(artifact: Artifact, options: LoadOptions) -> VLLMSession:
    """Load a Hugging Face folder, plain or quantized as compressed-tensors, AWQ, GPTQ or FP8.

    Raises:
        ModelFileError: the folder is missing, damaged or hostile, or no whole model.
        UnsupportedModel: vLLM does not know its kind, or how it is quantized.
        EngineMissing: vLLM is not installed or does not load.
        EngineError: the engine does not start.
        DeviceNotFound: the device is not here.
        UnsupportedFeature, UsageError: an option that cannot be honoured.
    """
    facts = read_facts(artifact.path)
    engine.engine()
    return VLLMSession(facts, resolve(options, facts))
