"""A model's tokenizer, as mlx-lm loads it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pajamas.fast_vocabulary import FastVocabulary
from pajamas_mlx import engine


class Vocabulary(FastVocabulary):
    """As `FastVocabulary`, whose errors it raises."""

    def __init__(self, folder: Path, ends: Iterable[int], size: int) -> None:
        more: set[int] = set(ends)

        def load() -> Any:
            tokenizer = engine.engine().models.load_tokenizer(folder, {"trust_remote_code": False})
            more.update(tokenizer.eos_token_ids)
            return tokenizer

        super().__init__(load, folder, more, size)
