"""How facts about a model are worded, wherever they are shown."""

from __future__ import annotations

from pajamas.families import FAMILIES
from pajamas.model_cards import card_context
from pajamas.types import Architecture, BackendInfo

_SCALINGS = {"yarn": "YaRN", "llama3": "llama3 scaling", "longrope": "LongRoPE", "linear": "linear scaling"}


def format_count(count: int) -> str:
    """A number of parameters with three significant places or so: 8190735360 is "8.19B", 4197120 is "4.20M"."""
    for unit, word in ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K")):
        # Half a hundredth below the unit still rounds up to it.
        if count >= unit - unit // 200_000:
            return f"{count / unit:.2f}{word}"
    return str(count)


def describe_attention(architecture: Architecture) -> str:
    """ "Dense decoder (GQA 4:1)", or "Mixture of experts (128 experts, 8 active; GQA 8:1)"."""
    a = architecture
    parts = []
    if a.num_experts:
        active = f", {a.num_active_experts} active" if a.num_active_experts else ""
        parts.append(f"{a.num_experts} experts{active}")
    if a.attention_type == "gqa" and a.num_heads and a.num_kv_heads:
        whole = a.num_heads % a.num_kv_heads == 0
        ratio = f"{a.num_heads // a.num_kv_heads}:1" if whole else f"{a.num_heads}:{a.num_kv_heads}"
        parts.append(f"GQA {ratio}")
    elif a.attention_type:
        parts.append(a.attention_type.upper())
    # A window as long as the context is none.
    if a.sliding_window and not (a.context_length and a.sliding_window >= a.context_length):
        parts.append(f"sliding window {a.sliding_window:,}")
    kind = "Dense decoder" if a.model_type in FAMILIES else "Dense model"
    kind = "Mixture of experts" if a.num_experts else kind
    return f"{kind} ({'; '.join(parts)})" if parts else kind


def describe_context(architecture: Architecture) -> str:
    """ "40,960 in config (32,768 native, 131,072 extended by YaRN; model card)"."""
    a = architecture
    if a.context_length is None:
        return "not stated"
    stated = f"{a.context_length:,} in config"
    if a.native_context_length is None:
        scaling = f"; {_SCALINGS.get(a.rope_scaling, a.rope_scaling)}" if a.rope_scaling else ""
        return f"{stated} (native and extended: not stated{scaling})"
    lengths = f"{a.native_context_length:,} native"
    kind = a.rope_scaling
    if a.context_source == "model card":
        card = card_context(a.model_type, a.context_length, a.num_layers)
        kind = card.scaling if card else None
    if a.extended_context_length:
        lengths += f", {a.extended_context_length:,} extended" + (f" by {_SCALINGS.get(kind, kind)}" if kind else "")
    source = f"; {a.context_source}" if a.context_source != "config" else ""
    return f"{stated} ({lengths}{source})"


def describe_parameters(architecture: Architecture) -> str:
    """Such as "8.19B parameters (6.95B non-embedding)"; with experts "(29.91B non-embedding, 3.35B active)"."""
    a = architecture
    if a.parameters is None:
        return "parameters not stated"
    parts = []
    if a.non_embedding_parameters is not None:
        parts.append(f"{format_count(a.non_embedding_parameters)} non-embedding")
    if a.active_parameters is not None and a.active_parameters != a.parameters:
        parts.append(f"{format_count(a.active_parameters)} active")
    return f"{format_count(a.parameters)} parameters" + (f" ({', '.join(parts)})" if parts else "")


def describe_engine(info: BackendInfo) -> str:
    """ "llama.cpp 0.3.36", or that it is not installed."""
    missing = " (not installed)" if info.unavailable else ""
    return f"{info.engine} {info.engine_version}" if info.engine_version else f"{info.engine}{missing}"
