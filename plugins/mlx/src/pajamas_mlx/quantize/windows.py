"""In the child: a calibration text as batches of token ids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlx.core as mx  # noqa: TID253  # a module of the child process

from pajamas.errors import UnsupportedModel, UsageError

_WINDOW = 512
_TOGETHER = 4


def read_windows(folder: Path, text: str, most: int | None) -> list[Any]:
    """Windows of 512 tokens, four in a batch, of the text's first `most` tokens.

    Raises:
        UnsupportedModel: the tokenizer cannot be read without running code of the model's own.
        UsageError: the text is too short.
    """
    from mlx_lm.utils import load_tokenizer

    try:
        tokenizer = load_tokenizer(folder, {"trust_remote_code": False})
    except (ValueError, OSError, KeyError, TypeError, ImportError) as error:
        raise UnsupportedModel(
            "The tokenizer cannot be read.", str(error)[:400], "Use --mixed-precision, which needs no text."
        ) from error
    tokens = tokenizer.encode(text)[:most]
    if len(tokens) < _WINDOW:
        raise UsageError(
            "The text to calibrate with is too short.",
            f"It has {len(tokens)} tokens, and a window is {_WINDOW}.",
            "Give a longer text (--calibration-text FILE), or more samples.",
        )
    windows = [tokens[begin : begin + _WINDOW] for begin in range(0, len(tokens) - _WINDOW + 1, _WINDOW)]
    if tokens[0] == tokenizer.bos_token_id:  # a model that learned each text with it is lost in a window without
        windows = [[tokens[0], *window[1:]] for window in windows]
    return [mx.array(windows[begin : begin + _TOGETHER]) for begin in range(0, len(windows), _TOGETHER)]
