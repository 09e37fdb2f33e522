"""The small model that `probe` computes with, made on the fly of random quantized blocks."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pajamas.types import LoadOptions
from pajamas_gguf import devices, engine
from pajamas_gguf.parameters import resolve

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_WIDTH, _HIDDEN, _HEADS, _VOCABULARY, _CONTEXT = 512, 1024, 8, 512, 256
_BATCH = 64
_TYPES = {
    "blk.0.attn_q": "Q4_K", "blk.0.attn_k": "Q8_0", "blk.0.attn_v": "Q6_K", "blk.0.attn_output": "Q4_0",
    "blk.0.ffn_gate": "Q4_K", "blk.0.ffn_up": "Q5_K", "blk.0.ffn_down": "Q6_K", "output": "Q4_K", "token_embd": "Q4_K",
}  # fmt: skip
# Where the half-precision scales lie in one block of each type; every other byte may be anything.
_SCALES = {"Q4_0": (0,), "Q8_0": (0,), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,)}


def compute(*, extra_buffers: bool) -> dict[str, Any]:
    """Compute a batch and a token; {"devices": words}, or {"failed": why}. May kill the process: that is the point."""
    import numpy as np

    lib = engine.library()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "probe.gguf"
        write(path)
        options = LoadOptions(context_length=_CONTEXT)
        parameters = resolve(options, _CONTEXT, extra_buffers=extra_buffers)
        params, kept = parameters.for_model()
        model = lib.llama_model_load_from_file(str(path).encode(), params)
        if not model:
            return {"failed": engine.last_error()}
        context = lib.llama_init_from_model(model, parameters.for_one(outputs=1))
        if not context:
            return {"failed": engine.last_error()}
        for tokens in (range(1, _BATCH + 1), range(1)):
            array = (lib.llama_token * len(tokens))(*tokens)
            code = lib.llama_decode(context, lib.llama_batch_get_one(array, len(tokens)))
            if code != 0:
                return {"failed": f"llama_decode returned {code}: {engine.last_error()}"}
            logits = np.ctypeslib.as_array(lib.llama_get_logits_ith(context, -1), (_VOCABULARY,))
            if not np.isfinite(logits).all() or logits.std() == 0:
                return {"failed": "it computes wrong numbers"}
        lib.llama_free(context)
        lib.llama_model_free(model)
        del kept
    return {"devices": list(devices.words(devices.find_devices()))}


def write(path: Path) -> None:
    """Write a one-layer llama model with matrices of every type that CPUs have special paths for."""
    import gguf
    import numpy as np

    rng = np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(_CONTEXT)
    writer.add_embedding_length(_WIDTH)
    writer.add_feed_forward_length(_HIDDEN)
    writer.add_block_count(1)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_rope_dimension_count(_WIDTH // _HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(_VOCABULARY)
    writer.add_tokenizer_model("no_vocab")
    for norm in ("blk.0.attn_norm", "blk.0.ffn_norm", "output_norm"):
        writer.add_tensor(f"{norm}.weight", np.ones(_WIDTH, np.float32))
    for name, kind in _TYPES.items():
        rows = {"blk.0.ffn_gate": _HIDDEN, "blk.0.ffn_up": _HIDDEN, "output": _VOCABULARY, "token_embd": _VOCABULARY}
        columns = _HIDDEN if name == "blk.0.ffn_down" else _WIDTH
        quantization = gguf.GGMLQuantizationType[kind]
        writer.add_tensor(f"{name}.weight", _blocks(rng, kind, rows.get(name, _WIDTH), columns), raw_dtype=quantization)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _blocks(rng: np.random.Generator, kind: str, rows: int, columns: int) -> NDArray[np.uint8]:
    import gguf
    import numpy as np

    elements, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]]
    blocks = rng.integers(0, 256, (rows, columns // elements, size), dtype=np.uint8)
    scale = np.frombuffer(np.float16(1e-3).tobytes(), np.uint8)
    for offset in _SCALES[kind]:
        blocks[:, :, offset : offset + 2] = scale
    return blocks.reshape(rows, -1)
