"""mlx-lm's model of a config, for weights that transformers' base classes have saved."""

from __future__ import annotations

from typing import Any

from pajamas.errors import UnsupportedModel
from pajamas_mlx import engine

_FUSED = "experts.gate_up_proj"
_BARE, _PREFIX, _HEAD = "embed_tokens.weight", "model.", "lm_head."


def classes(config: dict[str, Any]) -> tuple[type[Any], type[Any]]:
    """The model's class and that of its arguments: for `get_model_classes` of mlx-lm's `load_model`.

    The class takes weights without the prefix `model.` too, as embedding models have them.
    """
    model, arguments = engine.engine().models._get_classes(config)

    class Prefixed(model):  # type: ignore[misc, valid-type]  # a class that is found at run time
        def sanitize(self, weights: dict[str, Any]) -> dict[str, Any]:
            if has_bare_names(weights) and hasattr(self, "model"):
                weights = {_prefixed(name): array for name, array in weights.items()}
            return super().sanitize(weights) if hasattr(model, "sanitize") else weights

    return Prefixed, arguments


def has_bare_names(names: Any) -> bool:
    """Whether tensors of these names lack the prefix."""
    return _BARE in names and not any(name.startswith(_PREFIX) for name in names)


def refuse_fused_experts(origin: str, said: str) -> None:
    """Raises UnsupportedModel if what mlx-lm has `said` of a model's weights is that it knows no such experts."""
    if _FUSED in said:
        raise UnsupportedModel(
            f"mlx-lm cannot read the experts of {origin}.",
            f"They are stored together, as {_FUSED}, and its model of this kind takes them one by one.",
            "Save the model with its experts one by one, or use another format: --formats gguf.",
        )


def _prefixed(name: str) -> str:
    return name if name.startswith(_HEAD) else _PREFIX + name
