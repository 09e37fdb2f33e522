"""In the child: what each layer of a model becomes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from attrs import evolve, frozen

from pajamas.errors import UnsupportedModel
from pajamas_mlx.quantize.schemes import GROUP_SIZES

_EMBEDDINGS = frozenset({"embed_tokens", "wte", "tok_embeddings", "word_embeddings", "lm_head", "output"})


@frozen
class Choice:
    """How one layer is quantized, as `mlx.core.quantize` takes it."""

    bits: int
    group_size: int
    mode: str = "affine"

    def __str__(self) -> str:
        return f"{self.bits}bit g{self.group_size}" if self.mode == "affine" else self.mode

    @property
    def params(self) -> dict[str, Any]:
        return {"group_size": self.group_size, "bits": self.bits, "mode": self.mode}

    def size(self, elements: int, scale: int) -> int:
        """Bytes of so many weights; `scale` is the size of one scale of the affine mode."""
        groups = elements // self.group_size
        return elements * self.bits // 8 + groups * (2 * scale if self.mode == "affine" else 1)


Choices = dict[str, Choice | None]
"""Path of a layer that could be quantized to what it becomes; None stays in 16 bits."""


def layers(model: Any) -> Iterator[tuple[str, Any]]:
    """Path and module of everything that MLX can quantize, each once."""
    from mlx.nn import Module
    from mlx.utils import tree_flatten

    for path, module in tree_flatten(model.leaf_modules(), is_leaf=Module.is_module):
        if hasattr(module, "to_quantized"):
            yield path, module


def quantized(model: Any) -> dict[str, tuple[Choice, tuple[int, ...]]]:
    """Path of each layer that is quantized to how it is, and to the shape of its weights before they were packed."""
    from mlx.nn import Module
    from mlx.utils import tree_flatten

    found = {}
    for path, module in tree_flatten(model.leaf_modules(), is_leaf=Module.is_module):
        if "scales" in module and hasattr(module, "bits"):
            *rows, packed = module.weight.shape
            choice = Choice(module.bits, module.group_size, module.mode)
            found[path] = choice, (*rows, packed * 32 // module.bits)
    return found


def is_vocabulary(path: str, module: Any, config: Mapping[str, Any]) -> bool:
    """Whether a layer is the token embedding or the output layer: a tied embedding is both."""
    from mlx.nn import Embedding

    text = config.get("text_config")
    sizes = [part["vocab_size"] for part in (config, text) if isinstance(part, Mapping) and part.get("vocab_size")]
    if isinstance(module, Embedding):
        return True
    if any(part.isdigit() for part in path.split(".")):  # inside a block, whose names and widths may be anything
        return False
    return path.rpartition(".")[2] in _EMBEDDINGS or (module.weight.ndim == 2 and module.weight.shape[0] in sizes)


def fitting(choice: Choice, width: int) -> Choice | None:
    """The choice with the largest group size up to its own that divides `width`; None if none does."""
    sizes = sorted(GROUP_SIZES, reverse=True) if choice.mode == "affine" else [choice.group_size]
    for size in sizes:
        if size <= choice.group_size and width % size == 0:
            return Choice(choice.bits, size, choice.mode)
    return None


def choose(
    model: Any, config: Mapping[str, Any], body: Choice, embedding_bits: int | None, named: str | None
) -> tuple[Choices, dict[str, Choice]]:
    """What every layer becomes by the recipe, and what those should have become whose width does not allow it.

    `named` is one of mlx-lm's mixed recipes. mlx-lm's models may know better for some of their layers, such as the
    routers of experts: then they decide.

    Raises:
        UnsupportedModel: the mixed recipe does not fit this model.
    """
    own: Callable[[str, Any], Any] | None = getattr(model, "quant_predicate", None)
    if named is not None:
        from mlx_lm.convert import mixed_quant_predicate_builder

        try:
            own = mixed_quant_predicate_builder(named, model, body.group_size)
        except ValueError as error:
            raise UnsupportedModel(f"{named} does not fit this model.", str(error), "--precision 4bit") from error
    found: Choices = {}
    missed: dict[str, Choice] = {}
    for path, module in layers(model):
        decided = True if own is None else own(path, module)
        if isinstance(decided, Mapping):
            wanted = Choice(decided["bits"], decided["group_size"], decided.get("mode", "affine"))
        elif embedding_bits is not None and is_vocabulary(path, module, config):
            wanted = Choice(embedding_bits, body.group_size)
        else:
            wanted = body
        found[path] = fitting(wanted, module.weight.shape[-1]) if decided else None
        if decided and found[path] != wanted:
            missed[path] = wanted
    return found, missed


def quantize(model: Any, config: dict[str, Any], choices: Choices, body: Choice | None) -> dict[str, Any]:
    """Let mlx-lm quantize the model in place, lazily; its config with the `quantization` block.

    The block names `body` once for all layers, and those that differ from it one by one.
    """
    from mlx_lm.utils import quantize_model

    made = {path: choice for path, choice in choices.items() if choice is not None}
    if body is None or not made:
        return config
    widths = [module.weight.shape[-1] for path, module in layers(model) if path in made]
    usual = _usual(body, widths)

    def decide(path: str, module: Any) -> bool | dict[str, Any]:
        choice = choices[path]
        return choice is not None and (True if choice == usual else choice.params)

    _, changed = quantize_model(model, config, usual.group_size, usual.bits, mode=usual.mode, quant_predicate=decide)
    return dict(changed)


def _usual(body: Choice, widths: list[int]) -> Choice:
    """The body with the largest group size up to its own that divides all widths: mlx-lm asks about no other layer."""
    sizes = [size for size in (body.group_size, *GROUP_SIZES) if all(width % size == 0 for width in widths)]
    return evolve(body, group_size=max(size for size in sizes if size <= body.group_size))
