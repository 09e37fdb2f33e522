"""Texts as vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pajamas.errors import ContextOverflow, EngineError, UnsupportedFeature

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pajamas_gguf.session.context import Context
    from pajamas_gguf.session.model import Model

_NONE, _MEAN, _CLS, _LAST, _RANK = range(5)


def pooling(metadata: Mapping[str, Any]) -> int:
    """The engine's number for how a text's token vectors become one: as the file says, else their mean.

    Generative models state none; the mean of their last hidden states is what llama.cpp's own tools take then.

    Raises:
        UnsupportedFeature: the model ranks pairs of texts, it does not embed.
    """
    stated = metadata.get(f"{metadata.get('general.architecture')}.pooling_type")
    if stated == _RANK:
        raise UnsupportedFeature("This model is a reranker.", "It scores pairs of texts and has no vectors.", "")
    return stated if stated in (_MEAN, _CLS, _LAST) else _MEAN


def embed(model: Model, context: Context, texts: list[str], longest: int, size: int) -> NDArray[np.float32]:
    """One unit vector a text, float32 [len(texts), size].

    Raises:
        ContextOverflow: a text has more tokens than the context.
        EngineError: the engine failed, or a text has no tokens.
    """
    rows = np.empty((len(texts), size), np.float32)
    for number, text in enumerate(texts):
        tokens = model.tokenize(text, add_special=True, parse_special=False)
        if len(tokens) > longest:
            raise ContextOverflow(
                f"Text {number + 1} has {len(tokens):,} tokens.", f"The context holds {longest:,}.", "Split the text."
            )
        if not tokens:
            raise EngineError(f"Text {number + 1} is empty.", "It has no tokens to embed.", "Leave it out.")
        context.clear()
        context.batch.clear()
        context.batch.add(tokens, 0, 0, outputs=len(tokens))
        context.compute_long(encode=model.has_encoder)
        row = context.pooled(0, size)
        length = float(np.linalg.norm(row))
        if not np.isfinite(length):
            raise EngineError("The model computes values that are not numbers.", "The file may be damaged.", "")
        rows[number] = row / length if length else row
    return rows
