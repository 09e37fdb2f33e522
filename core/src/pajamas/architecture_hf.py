"""What a Hugging Face config and the headers of safetensors files say of a model.

Transformers 5 writes `dtype` and `rope_parameters` where older versions wrote `torch_dtype`, `rope_scaling` and
`rope_theta`; both are read.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from attrs import evolve

from pajamas.errors import ModelFileError
from pajamas.families import FAMILIES, Family, attention_type
from pajamas.mlx_scheme import scheme_of
from pajamas.model_cards import card_context
from pajamas.modelfiles import ModelFiles
from pajamas.parameters import Counts, Dimensions, count_config, count_tensors, main_dtype, real_sizes
from pajamas.safetensors_header import SafetensorsEntry, read_tensors
from pajamas.types import Architecture

_MAX = 1 << 48
_MAX_LAYERS = 10_000
_WORD = re.compile(r"[A-Za-z0-9][\w.+/-]{0,99}", re.ASCII)
# A model for images and text keeps its language model's config in one of these.
_TEXT_CONFIGS = ("text_config", "llm_config", "language_config")


def detect_hf(files: ModelFiles, config: Mapping[str, Any]) -> Architecture | None:
    """The architecture that `config` (config.json) describes, with counts from safetensors headers if there are any.

    Returns None if the config names no `model_type`: then it is not a transformers config.

    Raises:
        ModelFileError: a value of a known family has no proper type or makes no sense, or a header is damaged. Of an
            unknown family such values are left out.
    """
    if config.get("model_type") is None:
        return None
    reader = _Config(config, files.origin)
    architecture = describe_config(reader)
    entries = list(read_tensors(files).values())
    counts: Counts | None = None
    if entries:
        sizes = real_sizes(entries)
        tied = architecture.tied_embeddings
        if sizes is not None:
            counts = count_tensors(
                sizes,
                tied=tied,
                experts=architecture.num_experts,
                active_experts=architecture.num_active_experts,
            )
            if tied is None and any(name.endswith("embed_tokens.weight") for name, _ in sizes):
                tied = not any(name.endswith("lm_head.weight") for name, _ in sizes)
        architecture = evolve(
            architecture,
            tied_embeddings=tied,
            dtype=main_dtype(entries) or reader.packing(entries) or architecture.dtype,
        )
    if counts is None and reader.family is not None:
        counts = _counts_of(reader, reader.family, architecture)
    if counts is None:
        return architecture
    return evolve(
        architecture,
        parameters=counts.total,
        non_embedding_parameters=counts.non_embedding,
        active_parameters=counts.active,
    )


def describe_config(config: _Config) -> Architecture:
    """Everything but the parameter counts.

    Raises:
        ModelFileError: as `detect_hf`.
    """
    model_type = config.model_type
    heads = config.number("num_attention_heads", "n_head", "n_heads", "num_heads")
    kv_heads = config.number("num_key_value_heads", "n_head_kv", "num_kv_heads", "n_kv_heads")
    if kv_heads is None and config.family is not None:
        kv_heads = heads
    hidden = config.number("hidden_size", "n_embd", "d_model", "dim")
    layers = config.number("num_hidden_layers", "n_layer", "num_layers", "n_layers", limit=_MAX_LAYERS)
    context = config.number(
        "max_position_embeddings", "n_positions", "max_sequence_length", "max_seq_len", "seq_length"
    )
    experts = config.number("num_experts", "num_local_experts", "n_routed_experts", zero=True)
    active = config.number("num_experts_per_tok", "experts_per_token", "num_experts_per_token", zero=True)
    config.check(not heads or not kv_heads or heads % kv_heads == 0, f"{heads} heads share {kv_heads} key-value heads")
    config.check(not experts or not active or active <= experts, f"{active} of {experts} experts are active")
    mla = config.number("kv_lora_rank", zero=True) is not None
    scaling, native, extended = _rope(config, context)
    source = "config"
    if native is None:
        card = card_context(model_type, context, layers) if scaling is None else None
        native, extended = (card.native, card.extended) if card else (None, None)
        source = "model card" if card else "not stated"
    window = config.number("sliding_window", zero=True)
    return Architecture(
        model_type=model_type,
        family=config.family.name if config.family else model_type,
        num_layers=layers,
        hidden_size=hidden,
        intermediate_size=config.number("intermediate_size", "n_inner", "ffn_dim", "d_ff"),
        num_heads=heads,
        num_kv_heads=kv_heads,
        head_dim=_head_dim(config, hidden, heads, mla=mla),
        attention_type=attention_type(heads, kv_heads, mla=mla),
        vocab_size=config.number("vocab_size"),
        tied_embeddings=config.flag("tie_word_embeddings", default=False if config.family else None),
        context_length=context,
        native_context_length=native,
        extended_context_length=extended,
        context_source=source,
        rope_scaling=scaling,
        sliding_window=None if config.flag("use_sliding_window") is False else window,
        num_experts=experts,
        num_active_experts=active if experts else None,
        expert_intermediate_size=config.number("moe_intermediate_size") if experts else None,
        dtype=(config.word("dtype") or config.word("torch_dtype") or "").removeprefix("torch.") or None,
        convertible=bool(config.family and config.family.convertible),
    )


def _head_dim(config: _Config, hidden: int | None, heads: int | None, *, mla: bool) -> int | None:
    if mla:
        plain, rotated = config.number("qk_nope_head_dim", zero=True), config.number("qk_rope_head_dim", zero=True)
        return (plain or 0) + (rotated or 0) or None
    stated = config.number("head_dim")
    if stated is None and hidden and heads and hidden % heads == 0:
        return hidden // heads
    return stated


def _rope(config: _Config, context: int | None) -> tuple[str | None, int | None, int | None]:
    """Kind of rope scaling, and native and extended context where the config states them."""
    rope = config.table("rope_scaling") or config.table("rope_parameters") or {}
    if "rope_type" not in rope and "type" not in rope:
        # Gemma 3 in transformers 5: one table for each kind of layer.
        nested = rope.get("full_attention")
        rope = nested if isinstance(nested, Mapping) else rope
    inner = config.inner(rope)
    kind = inner.word("rope_type") or inner.word("type")
    if kind is None or kind == "default" or context is None:
        return None, None, None
    if config.model_type == "phi3" and kind in ("su", "yarn"):
        kind = "longrope"  # as transformers renames them
    original = inner.number("original_max_position_embeddings") or config.number(
        "original_max_position_embeddings", "initial_context_length"
    )
    factor = rope.get("factor")
    if kind == "yarn":
        original = original or context
        reach = int(original * factor) if isinstance(factor, int | float) and 1 <= factor < 1e6 else 0
        context = max(context, reach)
    if original is None:
        return kind, None, None
    return kind, original, context if context > original else None


def _counts_of(config: _Config, family: Family, a: Architecture) -> Counts | None:
    """The family's formula, for a repository whose weights are not here or packed."""
    needed = (a.num_layers, a.hidden_size, a.num_heads, a.num_kv_heads, a.head_dim, a.vocab_size)
    if None in needed or (family.moe and a.num_active_experts is None):
        return None
    layers, hidden, heads, kv_heads, head_dim, vocabulary = (value or 0 for value in needed)
    moe_layers = moe_intermediate = shared = 0
    if family.moe and a.num_experts:
        step = config.number("decoder_sparse_step") or 1
        dense = config.values.get("mlp_only_layers")
        dense = {item for item in dense if type(item) is int} if isinstance(dense, list) else set()
        moe_layers = sum((layer + 1) % step == 0 and layer not in dense for layer in range(layers))
        moe_intermediate = a.expert_intermediate_size or a.intermediate_size or 0
        shared = config.number("shared_expert_intermediate_size", zero=True) or 0
    dimensions = Dimensions(
        layers=layers,
        hidden=hidden,
        intermediate=a.intermediate_size,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        vocabulary=vocabulary,
        tied=bool(a.tied_embeddings),
        experts=a.num_experts or 0,
        active_experts=a.num_active_experts or 0,
        moe_layers=moe_layers,
        moe_intermediate=moe_intermediate,
        shared_intermediate=shared,
    )
    return count_config(family, dimensions, lambda key: bool(config.flag(key)))


class _Values:
    """Typed values of a JSON table. Strict ones raise `ModelFileError` for a wrong value, others pass over it."""

    def __init__(self, values: Mapping[str, Any], origin: str, *, strict: bool) -> None:
        self.values = values
        self._origin = origin
        self._strict = strict

    def check(self, sound: bool, problem: str) -> None:
        if not sound and self._strict:
            raise ModelFileError(f"config.json of {self._origin} makes no sense", problem, "download it again")

    def number(self, *keys: str, zero: bool = False, limit: int = _MAX) -> int | None:
        """The first of the keys that has a positive whole number; with `zero`, 0 is sound too, and means None."""
        for key in keys:
            value = self.values.get(key)
            if value is None:
                continue
            if isinstance(value, float) and value.is_integer():
                value = int(value)
            if type(value) is int and (0 if zero else 1) <= value <= limit:
                return value or None
            self.check(False, f"{key} is {value!r}"[:200])
        return None

    def flag(self, key: str, default: bool | None = None) -> bool | None:
        value = self.values.get(key)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        self.check(False, f"{key} is {value!r}"[:200])
        return default

    def word(self, key: str) -> str | None:
        """A short plain text: it goes to the terminal, so it may not hold escape sequences."""
        value = self.values.get(key)
        if isinstance(value, str) and _WORD.fullmatch(value):
            return value
        self.check(value is None, f"{key} is {value!r}"[:200])
        return None

    def table(self, key: str) -> Mapping[str, Any] | None:
        value = self.values.get(key)
        if isinstance(value, dict):
            return value
        self.check(value is None, f"{key} is {value!r}"[:200])
        return None

    def inner(self, values: Mapping[str, Any]) -> _Values:
        """A table inside this one."""
        return _Values(values, self._origin, strict=self._strict)


class _Config(_Values):
    """A whole config: its text model's values, with the family's defaults; strict for a known family."""

    def __init__(self, config: Mapping[str, Any], origin: str) -> None:
        super().__init__(config, origin, strict=True)
        self.model_type = self.word("model_type") or ""
        self.family = FAMILIES.get(self.model_type)
        text: Mapping[str, Any] = next((config[key] for key in _TEXT_CONFIGS if isinstance(config.get(key), dict)), {})
        stated = {**config, **text, "model_type": self.model_type}
        self.values = {**self.family.defaults, **stated} if self.family else stated
        self._strict = self.family is not None

    def packing(self, entries: Collection[SafetensorsEntry]) -> str | None:
        """What packed the weights: "gptq", or a name of MLX's (`mlx_scheme.scheme_of`)."""
        method = self.inner(self.table("quantization_config") or {}).word("quant_method")
        return method or scheme_of(self.table("quantization") or {}, entries)
