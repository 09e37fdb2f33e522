"""A source model as mlx-lm reads it, with weights that stay on the disk until they are used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from pajamas.errors import UnsupportedModel
from pajamas_mlx.model_classes import classes, refuse_fused_experts
from pajamas_mlx.model_config import default_keys, missing_keys

_SIXTEEN_BITS = ("bfloat16", "float16")


@frozen(kw_only=True)
class Opened:
    model: Any
    """mlx-lm's, with lazy arrays."""
    config: dict[str, Any]
    """config.json with what mlx-lm adds to it."""
    dtype: str
    """What is not quantized is of this type."""
    notes: tuple[str, ...] = ()


def open_model(folder: Path, dtype: str | None = None) -> Opened:
    """The model in `folder`, its weights cast to `dtype`: None keeps 16 bits as they are, and makes bfloat16 of more.

    Raises:
        UnsupportedModel: mlx-lm has no model for it, or its model does not take these weights.
    """
    import mlx.core as mx
    from mlx.utils import tree_flatten, tree_map_with_path
    from mlx_lm.utils import load_config, load_model

    config = load_config(folder)
    kind = config.get("model_type")
    try:
        mended = missing_keys(config)
        mended = {**default_keys({**config, **mended}), **mended}
        model, config = load_model(folder, lazy=True, model_config=mended, get_model_classes=classes)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RuntimeError, NotImplementedError) as error:
        refuse_fused_experts("this model", str(error))
        # mlx-lm's models raise whatever a config or weights of an unforeseen kind make them raise.
        if "not supported" in str(error):
            why = f"It has no model for the model type {kind!r}."
        else:
            why = f"Its model {kind!r} says: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
        raise UnsupportedModel("mlx-lm cannot read this model.", why, "Use another format: --formats gguf.") from error
    present = Counter(
        str(array.dtype).rpartition(".")[2]
        for _, array in tree_flatten(model.parameters())
        if mx.issubdtype(array.dtype, mx.floating)
    )
    chosen, notes = choose_dtype(present, config, dtype)
    to, keep = getattr(mx, chosen), getattr(model, "cast_predicate", lambda _: True)

    def cast(name: str, array: Any) -> Any:
        return array.astype(to) if keep(name) and mx.issubdtype(array.dtype, mx.floating) else array

    model.update(tree_map_with_path(cast, model.parameters()))
    config["torch_dtype"] = config["dtype"] = chosen
    return Opened(model=model, config=config, dtype=chosen, notes=notes)


def choose_dtype(
    present: Mapping[str, int], config: Mapping[str, Any], dtype: str | None
) -> tuple[str, tuple[str, ...]]:
    """What is not quantized becomes, by how many weights there are of each type; `dtype` is what was asked for."""
    stated = next((config[key] for key in ("torch_dtype", "dtype") if isinstance(config.get(key), str)), None)
    common = Counter(present).most_common(1)[0][0] if present else _SIXTEEN_BITS[0]
    chosen = dtype or next((name for name in (stated, common) if name in _SIXTEEN_BITS), _SIXTEEN_BITS[0])
    if dtype is None and common not in _SIXTEEN_BITS:
        return chosen, (f"What is not quantized becomes {chosen}: the source has {common}.",)
    return chosen, ()
