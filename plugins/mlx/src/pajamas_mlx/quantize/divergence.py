"""In the child: how far a model would be from the original if its layers were quantized in a given way.

An estimate, on a calibration text: what judges the finished model is another text. The figures are those of the
validation: mean KL divergence and increase of the perplexity over the second half of each window, where every token has
half a window before it.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx  # noqa: TID253  # a module of the child process
from attrs import frozen

from pajamas_mlx.quantize.activations import Activations
from pajamas_mlx.quantize.choices import Choice, Choices
from pajamas_mlx.quantize.streaming import OnDisk, Stream, Tail
from pajamas_mlx.quantize.task import Probe

_BLOCK = 64
"""Neighbouring tokens are alike: their mean is one value of the sample whose standard error is taken."""
_LOGITS = 1 << 23
"""That are computed together."""
_WEIGHTS = 1 << 20
"""Likewise."""


@frozen(kw_only=True)
class Original:
    """What the 16-bit model says of a text."""

    source: OnDisk
    batches: list[Any]
    """Token ids (samples, tokens)."""
    activations: Activations

    @property
    def tokens(self) -> int:
        """That are compared."""
        return sum(len(batch) * (batch.shape[1] - 1 - batch.shape[1] // 2) for batch in self.batches)

    def probe(self, choices: Choices, done: Callable[[str], None]) -> Probe:
        """How far a model of these layers is from it: one pass over all layers for each batch."""
        head = self.activations.head
        assert head is not None

        def change(path: str, weight: Any) -> Any:
            choice = choices[path]
            if choice is None:
                return weight
            return _rounded(weight, choice)

        stream = Stream(self.source, change=change, done=done)
        hidden = [_second_half(stream.run(batch)) for batch in self.batches]
        candidate, original = Tail(self.source, head, change), Tail(self.source, head)
        divergences: list[float] = []
        losses: list[float] = []
        for batch, before, after in zip(self.batches, self.activations.hidden, hidden, strict=True):
            for ids, ones, others in zip(batch, _second_half(before), after, strict=True):
                divergence, loss = _compare(original, candidate, ones, others, ids[-len(ones) :])
                divergences += divergence
                losses += loss
        del candidate, original
        gc.collect()  # their modules and the classes of these refer to each other
        return _probe(divergences, losses)


def _rounded(weight: Any, choice: Choice) -> Any:
    """Weights as they come out of the quantized ones. On the processor MLX takes thirty bytes a weight to unpack them,
    so that a large layer is done in parts.
    """
    rows = weight.reshape(-1, weight.shape[-1])
    step = max(1, _WEIGHTS // rows.shape[-1])
    parts = []
    for begin in range(0, len(rows), step):
        packed = mx.quantize(rows[begin : begin + step], **choice.params)
        parts.append(mx.dequantize(*packed, **choice.params))
        mx.eval(parts[-1])
    return mx.concatenate(parts).reshape(weight.shape)


def _second_half(hidden: Any) -> Any:
    """Those rows whose next token is known; the last row's is not."""
    rows = mx.contiguous(hidden[:, hidden.shape[1] // 2 : -1])
    mx.eval(rows)
    return rows


def _compare(original: Tail, candidate: Tail, before: Any, after: Any, targets: Any) -> tuple[list[float], list[float]]:
    """KL divergence of each row in nats, and how much less likely its target has become, as a difference of logs."""
    divergences: list[float] = []
    losses: list[float] = []
    step = max(1, _LOGITS // original.log_probabilities(before[:1]).shape[-1])
    for begin in range(0, len(before), step):
        rows = slice(begin, begin + step)
        one, other = original.log_probabilities(before[rows]), candidate.log_probabilities(after[rows])
        # A token that cannot come (its logit is -inf in both) does not diverge.
        divergence = mx.where(one == -math.inf, 0.0, mx.exp(one) * (one - other)).sum(axis=-1)
        loss = mx.take_along_axis(one - other, targets[rows][:, None], axis=-1)[:, 0]
        divergences += divergence.tolist()  # type: ignore[arg-type]  # MLX's stub: nested lists of anything
        losses += loss.tolist()  # type: ignore[arg-type]
    return divergences, losses


def _probe(divergences: Sequence[float], losses: Sequence[float]) -> Probe:
    divergence, loss = _mean(divergences), _mean(losses)
    ratio = math.exp(min(loss, 700.0))
    return Probe(
        divergence=divergence,
        divergence_error=_error(divergences),
        increase=100.0 * (ratio - 1.0),
        increase_error=100.0 * ratio * _error(losses),
    )


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _error(values: Sequence[float]) -> float:
    """Standard error of the mean, from means of neighbours where there are enough of them."""
    count = len(values) // _BLOCK
    if count > 3:
        values = [_mean(values[begin * _BLOCK : (begin + 1) * _BLOCK]) for begin in range(count)]
    middle = _mean(values)
    spread = math.fsum((value - middle) ** 2 for value in values)
    return math.sqrt(spread / max(1, len(values) - 1) / len(values))
