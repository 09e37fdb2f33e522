"""Exact parameter counts: from the shapes of tensors, or from a config by its family's formula."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable

from attrs import frozen

from pajamas.families import Family
from pajamas.safetensors_header import SafetensorsEntry


@frozen
class Counts:
    """Parameters: all, without input embedding and output layer, and those that one token touches."""

    total: int
    non_embedding: int | None
    active: int


@frozen(kw_only=True)
class Dimensions:
    """What the formula needs; see `Architecture` for the meanings."""

    layers: int
    hidden: int
    intermediate: int | None
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tied: bool
    experts: int = 0
    active_experts: int = 0
    moe_layers: int = 0
    moe_intermediate: int = 0
    shared_intermediate: int = 0


_EMBEDDING = re.compile(r"(.*\.)?(embed_tokens|wte|word_embeddings|tok_embeddings|embed_in|token_embd)\.weight", re.S)
_OUTPUT = re.compile(r"(.*\.)?(lm_head|embed_out)\.(weight|bias)|output\.(weight|bias)", re.S)
# ".experts." of Hugging Face, "_exps." and (before 2024) "ffn_up.3." of GGUF. Shared experts are not routed.
_ROUTED = re.compile(r".*(\.experts\.|_exps\.|\.ffn_(gate|up|down)\.\d+\.)", re.S)
# Computed from the config when a model loads, not learned.
_BUFFER = re.compile(
    r".*(\.inv_freq|\.attn\.(masked_)?bias)|(.*\.)?rope_(freqs|factors_long|factors_short)\.weight", re.S
)
# What quantized repositories store beside their weights.
_SCALE = re.compile(
    r".*(_scales|_scale(_inv|_2)?|\.scales|\.qzeros|\.g_idx|\.weight_(zero_point|shape|g_idx)|\.absmax|\.quant_map"
    r"|\.nested_(absmax|quant_map)|\.quant_state\..*|\.SCB)",
    re.S,
)
_DTYPES = {
    "BF16": "bfloat16", "F16": "float16", "F32": "float32", "F64": "float64", "I8": "int8",
    "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "F4": "float4_e2m1fn",
}  # fmt: skip


def count_tensors(
    sizes: Iterable[tuple[str, int]], *, tied: bool | None, experts: int | None, active_experts: int | None
) -> Counts | None:
    """Counts from names and element counts of real weights; None if there are none.

    An output layer that is stored although it is tied counts once, so does one whose tying no file states but which
    is not stored.
    """
    total = embedding = output = routed = 0
    for name, size in sizes:
        if _BUFFER.fullmatch(name):
            continue
        if _EMBEDDING.fullmatch(name):
            embedding += size
        elif _OUTPUT.fullmatch(name):
            output += size
        elif _ROUTED.match(name):
            routed += size
        total += size
    if not total:
        return None
    if tied and embedding:
        total -= output
        output = 0
    idle = routed - routed * active_experts // experts if experts and active_experts else 0
    return Counts(total, total - embedding - output if embedding else None, total - idle)


def real_sizes(entries: Iterable[SafetensorsEntry]) -> list[tuple[str, int]] | None:
    """Names and element counts of the weights that safetensors files hold; None if shapes do not tell them.

    MXFP4 (gpt-oss) keeps two weights in each byte of `*_blocks`, with shapes [..., groups, 16]. Other packings
    (GPTQ, AWQ, bitsandbytes, MLX) do not say in a header how many weights one element holds.
    """
    sizes = []
    for entry in entries:
        if _SCALE.fullmatch(entry.name) or entry.dtype in ("BOOL", "I64"):
            continue
        packed = entry.dtype in ("U8", "I32", "U32")
        if packed and not entry.name.endswith("_blocks"):
            return None
        sizes.append((entry.name, math.prod(entry.shape) * (2 if packed else 1)))
    return sizes


def main_dtype(entries: Iterable[SafetensorsEntry]) -> str | None:
    """The dtype that most weights have, in torch's words, or "mxfp4"; None for other packings."""
    weights: Counter[str] = Counter()
    for entry in entries:
        if not _SCALE.fullmatch(entry.name):
            blocks = entry.dtype == "U8" and entry.name.endswith("_blocks")
            weights["mxfp4" if blocks else entry.dtype] += entry.size
    name = weights.most_common(1)[0][0] if weights else ""
    return name if name == "mxfp4" else _DTYPES.get(name)


def count_config(family: Family, d: Dimensions, switch: Callable[[str], bool]) -> Counts | None:
    """Counts by the family's formula; `switch` reads a yes or no of the config. None if a dimension is missing."""

    def on(value: bool | str) -> bool:
        return switch(value) if isinstance(value, str) else value

    dense_layers = d.layers - d.moe_layers
    if family.vision or (dense_layers and d.intermediate is None) or (d.moe_layers and not d.moe_intermediate):
        return None
    attention = d.hidden * d.head_dim * 2 * (d.heads + d.kv_heads)
    attention += d.head_dim * (d.heads + 2 * d.kv_heads) if on(family.qkv_bias) else 0
    attention += d.hidden if on(family.output_bias) else 0
    attention += 2 * d.head_dim if family.qk_norm else 0
    attention += d.heads if family.sinks else 0
    layers = d.layers * (attention + family.norms * d.hidden)
    if dense_layers and d.intermediate is not None:
        mlp = 3 * d.hidden * d.intermediate + (2 * d.intermediate + d.hidden if on(family.mlp_bias) else 0)
        layers += dense_layers * mlp
    expert = 3 * d.hidden * d.moe_intermediate + (2 * d.moe_intermediate + d.hidden if family.moe_bias else 0)
    router = d.experts * (d.hidden + (1 if family.moe_bias else 0))
    # Qwen2-MoE's shared expert is always active, and has a gate of its own.
    shared = 3 * d.hidden * d.shared_intermediate + (d.hidden if d.shared_intermediate else 0)
    layers += d.moe_layers * (router + shared + d.experts * expert)
    idle = d.moe_layers * (d.experts - d.active_experts) * expert
    embedding = d.vocabulary * d.hidden * (1 if d.tied else 2)
    total = embedding + layers + d.hidden
    return Counts(total, total - embedding, total - idle)
