"""A model's tokenizer, as transformers loads it beside vLLM."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pajamas.fast_vocabulary import FastVocabulary
from pajamas_vllm import engine


class Vocabulary(FastVocabulary):
    """As `FastVocabulary`, whose errors it raises."""

    def __init__(self, folder: Path, ends: Iterable[int], size: int) -> None:
        def load() -> Any:
            with engine.environment():
                tokenizers = importlib.import_module("transformers").AutoTokenizer
                return tokenizers.from_pretrained(folder, trust_remote_code=False, local_files_only=True)

        super().__init__(load, folder, ends, size)
