"""In the child: a model computes a text layer by layer, with no more than one layer's weights in memory.

Each layer loads its weights when it is called and drops them when it has answered, whatever the model's architecture:
reading them again for the next batch costs little where the operating system's cache holds them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx  # noqa: TID253  # a module of the child process
import mlx.nn as nn  # noqa: TID253  # a module of the child process
from attrs import frozen

from pajamas_mlx.quantize.choices import is_vocabulary, layers
from pajamas_mlx.quantize.opening import Opened, open_model
from pajamas_mlx.quantize.products import as_linear, calling

Change = Callable[[str, Any], Any]
"""From a layer's path and its weights, or some rows of them, to those that compute in their place."""


def unchanged(path: str, weight: Any) -> Any:
    return weight


@frozen
class OnDisk:
    """A model that is opened as often as it is computed with."""

    folder: Path
    wide: str | None = None
    """The type that it computes in, where that is not its own."""

    def open(self) -> Opened:
        return open_model(self.folder, self.wide)

    def weights(self) -> dict[str, Any]:
        """Path of each layer to its weights in their own type, not loaded yet."""
        return {path: module.weight for path, module in layers(open_model(self.folder).model)}

    def cast(self, weight: Any) -> Any:
        return weight if self.wide is None else weight.astype(getattr(mx, self.wide))


class Stream:
    """Passes of one model, each over one batch of token ids (samples, tokens)."""

    def __init__(
        self,
        source: OnDisk,
        *,
        change: Change = unchanged,
        record: Callable[[str, Any], None] = lambda path, inputs: None,
        done: Callable[[str], None] = lambda path: None,
    ) -> None:
        """`record` hears what each layer is fed with, and `done` which one has answered."""
        self._source, self._change, self._record, self._done = source, change, record, done
        self.head: str | None = None
        """Path of the output layer; None until a pass has reached it."""

    def run(self, batch: Any) -> Any:
        """What the output layer is fed with (samples, tokens, width), computed; None if there is no output layer."""
        opened, weights = self._source.open(), self._source.weights()
        found: list[Any] = []
        for path, module in layers(opened.model):
            last = is_vocabulary(path, module, opened.config)
            module.weight = mx.broadcast_to(mx.zeros((), module.weight.dtype), module.weight.shape)
            self._watch(path, module, weights, found, last=last)
        opened.model(batch)  # the answer itself is never computed
        mx.eval(found)
        return found[-1] if found else None

    def _watch(self, path: str, module: Any, weights: dict[str, Any], found: list[Any], *, last: bool) -> None:
        """By a class of its own for this one module: its parameters stay where they are."""
        kind = type(module)
        answer = calling(kind)

        def take() -> Any:
            """No other reference is kept: the weights are freed when they have computed."""
            if path not in weights:  # some layers are called more than once
                weights[path] = self._source.weights()[path]
            return weights.pop(path)

        def call(layer: Any, inputs: Any, *rest: Any, **named: Any) -> Any:
            if isinstance(layer, nn.Embedding):
                # Rows are quantized one by one, so those that are looked up are enough.
                result = self._source.cast(self._change(path, take()[inputs]))
            elif last:
                return output(layer, inputs)
            else:
                self._record(path, inputs)
                empty = layer.weight
                layer.weight = self._source.cast(self._change(path, take()))
                result = answer(layer, inputs, *rest, **named)
                mx.eval(result)
                layer.weight = empty
            mx.eval(result)
            self._done(path)
            return result

        def output(layer: Any, inputs: Any) -> Any:
            self._record(path, inputs)
            self.head = path
            found[:] = [inputs]
            return inputs @ layer.weight.T  # never computed

        members: dict[str, Any] = {"__call__": call}
        if hasattr(kind, "as_linear"):
            members["as_linear"] = output
        module.__class__ = type(kind.__name__, (kind,), members)


class Tail:
    """What comes after a model's blocks: its output layer and whatever it does to the logits."""

    def __init__(self, source: OnDisk, head: str, change: Change = unchanged) -> None:
        self._model = source.open().model
        self._rows: Any = None
        module = dict(layers(self._model))[head]
        module.weight = change(head, source.weights()[head])
        mx.eval(module.weight)
        kind = type(module)
        tied = isinstance(module, nn.Embedding)
        name, answer = ("as_linear", as_linear(kind)) if tied else ("__call__", calling(kind))
        module.__class__ = type(kind.__name__, (kind,), {name: lambda layer, inputs: answer(layer, self._rows)})

    def log_probabilities(self, rows: Any) -> Any:
        """Of the next token (rows, vocabulary), float32, from what the output layer is fed with (rows, width)."""
        self._rows = rows[None]
        # The model computes one token in name only: what is asked for depends on the rows alone.
        logits = self._model(mx.zeros((1, 1), dtype=mx.int32))[0].astype(mx.float32)
        return logits - mx.logsumexp(logits, axis=-1, keepdims=True)
