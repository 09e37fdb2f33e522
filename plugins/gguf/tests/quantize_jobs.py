"""Jobs and small models for the tests of the quantizer."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

from pajamas.gguf_header import read_header
from pajamas.modelfiles import LocalFiles
from pajamas.source import Source
from pajamas.types import Architecture, QuantizeJob

TINY = Path(__file__).parents[2] / "tiny/src/pajamas_tiny/model"
NO_ARCHITECTURE = Architecture(
    model_type="llama", family="", num_layers=None, hidden_size=None, intermediate_size=None, num_heads=None,
    num_kv_heads=None, head_dim=None, attention_type=None, vocab_size=None, tied_embeddings=None, context_length=None,
)  # fmt: skip


def make_job(model, output, scheme="Q4_K_M", **options):
    files = LocalFiles(model)
    defaults = {"name": "tiny", "contexts": (), "threads": 2, "architecture": NO_ARCHITECTURE}
    source = Source(text=str(model), kind="file" if model.is_file() else "folder", path=model)
    return QuantizeJob(
        files=files, source=source, format="gguf", scheme=scheme, output=output, **{**defaults, **options}
    )


def header_of(path):
    return read_header(LocalFiles(path), path.name)


def types_of(path):
    return {tensor.name: tensor.type for tensor in header_of(path).tensors}


def write_llama(path, width=96, scale=1.0, dtype=np.float16, tied=True, **keys):
    """A Llama of one layer: enough for the quantizer, which reads no vocabulary."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(keys.pop("block_count", 1))
    writer.add_context_length(512)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(2 * width)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    if "alignment" in keys:
        writer.add_custom_alignment(keys.pop("alignment"))
    random = np.random.default_rng(1)
    shapes = {
        "token_embd.weight": (64, width), "output_norm.weight": (width,), "blk.0.attn_norm.weight": (width,),
        "blk.0.attn_q.weight": (width, width), "blk.0.attn_k.weight": (width // 2, width),
        "blk.0.attn_v.weight": (width // 2, width), "blk.0.attn_output.weight": (width, width),
        "blk.0.ffn_norm.weight": (width,), "blk.0.ffn_up.weight": (2 * width, width),
        "blk.0.ffn_gate.weight": (2 * width, width), "blk.0.ffn_down.weight": (width, 2 * width),
    }  # fmt: skip
    if not tied:
        shapes["output.weight"] = (64, width)
    for name, shape in shapes.items():
        values = random.standard_normal(shape).astype(np.float32) * scale
        writer.add_tensor(name, values if len(shape) == 1 else values.astype(dtype))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


class Recorded:
    """A `Progress` that remembers."""

    def __init__(self):
        self.stages = []

    def stage(self, title, total, unit):
        self.stages.append([title, total, unit, 0, []])
        return self

    def advance(self, amount, note=""):
        self.stages[-1][3] += amount
        self.stages[-1][4].append(note)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


class FarFiles:
    """A stand-in for the files of a Hub repository: readable by ranges, not on this machine."""

    def __init__(self, files):
        self._files = files
        self.origin = files.origin
        self.sizes = files.sizes
        self.taken = 0

    def read(self, name, offset=0, length=None):
        data = self._files.read(name, offset, length)
        self.taken += len(data)
        return data

    def local_path(self, name):
        return None
