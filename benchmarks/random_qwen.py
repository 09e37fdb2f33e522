"""Models in the exact shapes of Qwen3 with random weights: as fast and as large as the real ones, and free to make.

    uv run python benchmarks/random_qwen.py SHAPE FOLDER [--tokenizer FOLDER] [--scheme Q4_K_M]

SHAPE is 0.6B or 1.7B. The tokenizer's folder holds vocab.json, merges.txt and tokenizer_config.json of Qwen2 or later.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pajamas.architecture import detect_architecture
from pajamas.modelfiles import LocalFiles
from pajamas.source import Source
from pajamas.types import QuantizeJob
from pajamas_gguf.quantize.pipeline import quantize

SHAPES = {"0.6B": (1024, 3072), "1.7B": (2048, 6144)}
"""Hidden and intermediate size; all else is common to both."""
LAYERS, HEADS, KV_HEADS, HEAD, VOCABULARY = 28, 16, 8, 128, 151_936
TOKENIZER = Path(__file__).parents[2] / "shared/data/qwen2-tokenizer"


def make(shape: str, folder: Path, tokenizer: Path = TOKENIZER, scheme: str = "Q4_K_M") -> Path:
    """The GGUF file, made once: later calls find it."""
    target = folder / f"random-qwen3-{shape.lower()}-{scheme.lower()}.gguf"
    if target.is_file():
        return target
    source = folder / f"random-qwen3-{shape.lower()}"
    write_model(shape, source, tokenizer)
    files = LocalFiles(source)
    job = QuantizeJob(
        files=files,
        source=Source(text=str(source), kind="folder", path=source),
        architecture=detect_architecture(files),
        format="gguf",
        scheme=scheme,
        output=target,
        name=source.name,
        contexts=(),
    )
    quantize(job)
    shutil.rmtree(source)
    return target


def write_model(shape: str, folder: Path, tokenizer: Path) -> None:
    """The model in Hugging Face's layout."""
    folder.mkdir(parents=True, exist_ok=True)
    hidden, intermediate = SHAPES[shape]
    config = {
        "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "torch_dtype": "bfloat16", "hidden_act": "silu",
        "hidden_size": hidden, "intermediate_size": intermediate, "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "head_dim": HEAD, "vocab_size": VOCABULARY,
        "max_position_embeddings": 40_960, "rms_norm_eps": 1e-6, "rope_theta": 1_000_000, "tie_word_embeddings": True,
        "attention_bias": False, "use_sliding_window": False, "bos_token_id": 151_643, "eos_token_id": 151_645,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    for file in tokenizer.iterdir():
        shutil.copyfile(file, folder / file.name)
    shapes = dict(_shapes(hidden, intermediate))
    header, position = {}, 0
    for name, size in shapes.items():
        length = 2 * int(np.prod(size))
        header[name] = {"dtype": "BF16", "shape": size, "data_offsets": [position, position + length]}
        position += length
    encoded = json.dumps(header).encode()
    random = np.random.default_rng(0)
    with (folder / "model.safetensors").open("wb") as stream:
        stream.write(len(encoded).to_bytes(8, "little") + encoded)
        for name, size in shapes.items():
            values = random.standard_normal(size, np.float32) * np.float32(0.02)
            if name.endswith("norm.weight"):
                values += 1
            stream.write((values.view(np.uint32) >> 16).astype(np.uint16).tobytes())


def _shapes(hidden: int, intermediate: int) -> Iterator[tuple[str, list[int]]]:
    yield "model.embed_tokens.weight", [VOCABULARY, hidden]
    yield "model.norm.weight", [hidden]
    for layer in range(LAYERS):
        sizes = {
            "input_layernorm": [hidden], "post_attention_layernorm": [hidden],
            "self_attn.q_proj": [HEADS * HEAD, hidden], "self_attn.k_proj": [KV_HEADS * HEAD, hidden],
            "self_attn.v_proj": [KV_HEADS * HEAD, hidden], "self_attn.o_proj": [hidden, HEADS * HEAD],
            "self_attn.q_norm": [HEAD], "self_attn.k_norm": [HEAD], "mlp.gate_proj": [intermediate, hidden],
            "mlp.up_proj": [intermediate, hidden], "mlp.down_proj": [hidden, intermediate],
        }  # fmt: skip
        for part, size in sizes.items():
            yield f"model.layers.{layer}.{part}.weight", size


def main() -> None:
    parser = argparse.ArgumentParser(description="Make a random-weight model in the shape of Qwen3.")
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tokenizer", type=Path, default=TOKENIZER)
    parser.add_argument("--scheme", default="Q4_K_M")
    options = parser.parse_args()
    sys.stdout.write(f"{make(options.shape, options.folder, options.tokenizer, options.scheme)}\n")


if __name__ == "__main__":
    main()
