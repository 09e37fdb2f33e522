"""What a GGUF header says of a model.

Keys: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md#standardized-key-value-pairs
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from pajamas.errors import ModelFileError
from pajamas.families import FAMILIES, GGUF_NAMES, attention_type
from pajamas.gguf_header import GGUFHeader, read_split, split_names
from pajamas.model_cards import card_context
from pajamas.modelfiles import ModelFiles
from pajamas.parameters import count_tensors
from pajamas.types import Architecture

# enum llama_ftype of llama.cpp's include/llama.h
FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S",
    12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS",
    20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M",
    28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4_MOE",
    39: "NVFP4", 40: "Q1_0", 41: "Q2_0",
}  # fmt: skip
"""`general.file_type` to the scheme's name."""

_GUESSED = 1024  # added by llama.cpp where it guessed the type
_DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_NOT_MODELS = re.compile(r"(.*/)?(mmproj|imatrix|mtp)[-_.].*|.*[-_.]imatrix\.gguf", re.IGNORECASE)


def model_name(files: ModelFiles) -> str | None:
    """The file of the only GGUF model among the files, the first part of a split one; None if not exactly one.

    Projectors (`mmproj-*`) and importance matrices are not models.
    """
    names = {split_names(name)[0] for name in files.sizes() if name.endswith(".gguf") and not is_companion(name)}
    return names.pop() if len(names) == 1 else None


def is_companion(name: str) -> bool:
    """Whether a GGUF file is called like one that belongs to a model: projector, importance matrix, draft head."""
    return _NOT_MODELS.match(name) is not None


def scheme_of(header: GGUFHeader) -> str | None:
    """The quantization scheme: as `general.file_type` states it, else the type of most weights."""
    file_type = header.metadata.get("general.file_type")
    if type(file_type) is int and file_type & ~_GUESSED in FILE_TYPES:
        return FILE_TYPES[file_type & ~_GUESSED]
    weights: Counter[str] = Counter()
    for tensor in header.tensors:
        weights[tensor.type] += math.prod(tensor.shape)
    return weights.most_common(1)[0][0] if weights else None


def detect_gguf(files: ModelFiles, name: str) -> Architecture | None:
    """The architecture in the header of the GGUF file `name`, or of all parts if it is one of several.

    Raises:
        ModelFileError: the header is damaged or hostile, or a value has no proper type.
    """
    return architecture_of(read_split(files, name))


def architecture_of(header: GGUFHeader) -> Architecture | None:
    """What the header describes; None if it names no architecture.

    Raises:
        ModelFileError: a value has no proper type.
    """
    metadata = header.metadata
    arch = metadata.get("general.architecture")
    if not isinstance(arch, str) or not re.fullmatch(r"[\w.+-]{1,64}", arch, re.ASCII):
        return None
    get = _Reader(metadata, arch)
    names = {tensor.name for tensor in header.tensors}
    experts, active = get.number("expert_count"), get.number("expert_used_count")
    model_type = GGUF_NAMES.get(arch, arch)
    if arch == "llama" and experts:
        model_type = "mixtral"
    family = FAMILIES.get(model_type)
    hidden, heads = get.number("embedding_length"), get.number("attention.head_count")
    kv_heads = get.number("attention.head_count_kv") if get.has("attention.head_count_kv") else heads
    head_dim = get.number("attention.key_length")
    if head_dim is None and hidden and heads and hidden % heads == 0:
        head_dim = hidden // heads
    layers, context = get.number("block_count"), get.number("context_length")
    tied = "output.weight" not in names if "token_embd.weight" in names else None
    if experts and active and active > experts:
        raise ModelFileError("The GGUF header makes no sense", f"{active} of {experts} experts are active", "")
    counts = count_tensors(
        ((tensor.name, math.prod(tensor.shape)) for tensor in header.tensors),
        tied=tied,
        experts=experts,
        active_experts=active,
    )
    scaling, native, extended = _rope(get, names, context)
    source = "config"
    if native is None:
        card = card_context(model_type, context, layers) if scaling is None else None
        native, extended = (card.native, card.extended) if card else (None, None)
        source = "model card" if card else "not stated"
    scheme = scheme_of(header)
    return Architecture(
        model_type=model_type,
        family=family.name if family else arch,
        num_layers=layers,
        hidden_size=hidden,
        intermediate_size=get.number("feed_forward_length"),
        num_heads=heads,
        num_kv_heads=kv_heads,
        head_dim=head_dim,
        attention_type=attention_type(heads, kv_heads, mla=bool(get.number("attention.kv_lora_rank"))),
        vocab_size=get.number("vocab_size") or _vocabulary(header),
        tied_embeddings=tied,
        context_length=context,
        native_context_length=native,
        extended_context_length=extended,
        context_source=source,
        rope_scaling=scaling,
        sliding_window=get.number("attention.sliding_window"),
        num_experts=experts,
        num_active_experts=active if experts else None,
        expert_intermediate_size=get.number("expert_feed_forward_length"),
        parameters=counts.total if counts else None,
        non_embedding_parameters=counts.non_embedding if counts else None,
        active_parameters=counts.active if counts else None,
        dtype=_DTYPES.get(scheme, scheme) if scheme else None,
        convertible=bool(family and family.convertible),
    )


def _rope(get: _Reader, names: set[str], context: int | None) -> tuple[str | None, int | None, int | None]:
    """Kind of rope scaling, native and extended context."""
    kind = get.text("rope.scaling.type")
    kind = None if kind == "none" else kind
    original = get.number("rope.scaling.original_context_length")
    if kind is None and "rope_factors_long.weight" in names:
        kind = "longrope"
    if kind is None and get.arch == "llama" and "rope_freqs.weight" in names:
        return "llama3", None, None  # GGUF keeps the factors that were computed, not what they were computed from
    if kind is None or original is None or context is None:
        return kind, None, None
    factor = get.metadata.get(f"{get.arch}.rope.scaling.factor")
    reach = int(original * factor) if kind == "yarn" and isinstance(factor, float) and 1 <= factor < 1e6 else 0
    longest = max(context, reach)
    return kind, original, longest if longest > original else None


def _vocabulary(header: GGUFHeader) -> int | None:
    embedding = next((tensor for tensor in header.tensors if tensor.name == "token_embd.weight"), None)
    if embedding is not None and len(embedding.shape) == 2:
        return embedding.shape[0]
    tokens = header.metadata.get("tokenizer.ggml.tokens")
    return len(tokens) if isinstance(tokens, tuple) else None


class _Reader:
    """Values of one architecture's keys."""

    def __init__(self, metadata: Mapping[str, Any], arch: str) -> None:
        self.metadata = metadata
        self.arch = arch

    def has(self, key: str) -> bool:
        return f"{self.arch}.{key}" in self.metadata

    def number(self, key: str) -> int | None:
        """A positive number; None if there is none, if it is 0, or if layers differ in it."""
        value = self.metadata.get(f"{self.arch}.{key}")
        if isinstance(value, tuple) and value and all(item == value[0] for item in value):
            value = value[0]
        if value is None or isinstance(value, tuple):
            return None
        if type(value) is not int or not 0 <= value < 1 << 48:
            raise ModelFileError("The GGUF header makes no sense", f"{self.arch}.{key} is {value!r}"[:200], "")
        return value or None

    def text(self, key: str) -> str | None:
        value = self.metadata.get(f"{self.arch}.{key}")
        return value if isinstance(value, str) and re.fullmatch(r"[\w.+-]{1,64}", value, re.ASCII) else None
