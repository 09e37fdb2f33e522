"""Small random GGUF files of kinds that pajamas does not write: the fewest keys and tensors that llama.cpp takes."""

from __future__ import annotations

import gguf
import numpy as np

WIDTH, HIDDEN, HEADS, BLOCKS = 32, 64, 2, 4
WORDS = [
    "<unk>",
    "<s>",
    "</s>",
    *(f"<0x{byte:02X}>" for byte in range(256)),
    *(f"\u2581w{number}" for number in range(90)),
]
_ATTENTION = {"attn_q": (WIDTH, WIDTH), "attn_k": (WIDTH, WIDTH), "attn_v": (WIDTH, WIDTH)}


def write_cohere2(path, window=16):
    """A decoder whose layers, but for one, look back on `window` tokens."""
    shapes = {"token_embd.weight": (len(WORDS), WIDTH), "output_norm.weight": (WIDTH,)}
    for block in range(BLOCKS):
        shapes |= _named(f"blk.{block}", _ATTENTION | {"attn_output": (WIDTH, WIDTH), "attn_norm": (WIDTH,)} | _feed())
    extra = {"attention.sliding_window": window, "logit_scale": 0.5, "attention.layer_norm_epsilon": 1e-5}
    return _write(path, "cohere2", shapes, extra)


def write_gpt2(path, positions=40):
    """A decoder that has learned its positions."""
    shapes = {"token_embd.weight": (len(WORDS), WIDTH), "position_embd.weight": (positions, WIDTH)}
    shapes |= _with_bias({"output_norm": (WIDTH,)})
    for block in range(BLOCKS):
        names = {"attn_qkv": (3 * WIDTH, WIDTH), "attn_output": (WIDTH, WIDTH), "attn_norm": (WIDTH,)}
        names |= {"ffn_up": (HIDDEN, WIDTH), "ffn_down": (WIDTH, HIDDEN), "ffn_norm": (WIDTH,)}
        shapes |= _with_bias({f"blk.{block}.{name}": shape for name, shape in names.items()})
    return _write(path, "gpt2", shapes, {"attention.layer_norm_epsilon": 1e-5, "context_length": positions})


def write_bert(path):
    """An encoder without a key/value cache, pooled by its first token."""
    shapes = {"token_embd.weight": (len(WORDS), WIDTH), "position_embd.weight": (2048, WIDTH)}
    shapes |= {"token_types.weight": (2, WIDTH)} | _with_bias({"token_embd_norm": (WIDTH,)})
    for block in range(BLOCKS):
        names = _ATTENTION | {"attn_output": (WIDTH, WIDTH), "attn_output_norm": (WIDTH,)}
        names |= {"ffn_up": (HIDDEN, WIDTH), "ffn_down": (WIDTH, HIDDEN), "layer_output_norm": (WIDTH,)}
        shapes |= _with_bias({f"blk.{block}.{name}": shape for name, shape in names.items()})
    extra = {"attention.layer_norm_epsilon": 1e-5, "attention.causal": False, "pooling_type": 2}
    return _write(path, "bert", shapes, extra)


def write_t5(path, *, decoder):
    """T5's encoder, with its decoder or without, pooled by its first token."""
    attention = {"attn_q": (WIDTH, WIDTH), "attn_k": (WIDTH, WIDTH), "attn_v": (WIDTH, WIDTH), "attn_o": (WIDTH, WIDTH)}
    names = attention | {"attn_norm": (WIDTH,), "attn_rel_b": (32, HEADS)} | _feed() | {"ffn_norm": (WIDTH,)}
    shapes = {"token_embd.weight": (len(WORDS), WIDTH), "enc.output_norm.weight": (WIDTH,)}
    for block in range(BLOCKS):
        shapes |= _named(f"enc.blk.{block}", names)
        if decoder:
            cross = {f"cross_{name}": shape for name, shape in attention.items()} | {"cross_attn_norm": (WIDTH,)}
            shapes |= _named(f"dec.blk.{block}", names | cross) | {"dec.output_norm.weight": (WIDTH,)}
    extra = {"attention.layer_norm_rms_epsilon": 1e-5, "attention.relative_buckets_count": 32, "pooling_type": 2}
    return _write(path, "t5" if decoder else "t5encoder", shapes, extra)


def _feed():
    return {"ffn_gate": (HIDDEN, WIDTH), "ffn_up": (HIDDEN, WIDTH), "ffn_down": (WIDTH, HIDDEN)}


def _named(prefix, names):
    return {f"{prefix}.{name}.weight": shape for name, shape in names.items()}


def _with_bias(names):
    found = {f"{name}.weight": shape for name, shape in names.items()}
    return found | {f"{name}.bias": shape[:1] for name, shape in names.items()}


def _write(path, architecture, shapes, extra):
    rng = np.random.default_rng(3)
    writer = gguf.GGUFWriter(path, architecture)
    numbers = {"context_length": 2048, "embedding_length": WIDTH, "feed_forward_length": HIDDEN}
    numbers |= {"block_count": BLOCKS, "attention.head_count": HEADS}
    for key, value in (numbers | extra).items():
        kind = gguf.GGUFValueType.get_type(value)
        kind = gguf.GGUFValueType.UINT32 if kind == gguf.GGUFValueType.INT32 else kind
        writer.add_key_value(f"{architecture}.{key}", value, kind)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(WORDS)
    writer.add_token_scores([0.0] * len(WORDS))
    writer.add_token_types([2, 3, 3, *[6] * 256, *[1] * (len(WORDS) - 259)])
    writer.add_token_type_count(2)
    for name, shape in shapes.items():
        values = rng.standard_normal(shape).astype(np.float32) * np.float32(1 if "embd" in name else 0.3)
        writer.add_tensor(name, values + np.float32(1) if name.endswith("norm.weight") else values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
