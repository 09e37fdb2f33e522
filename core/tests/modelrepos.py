"""Contents for repositories of the fake Hub. Weights are bytes that differ everywhere, in real safetensors framing."""

import hashlib
import json


def noise(size, seed=""):
    return hashlib.shake_256(seed.encode()).digest(size)


def safetensors(name, size=300_000):
    """One tensor of bytes; the framing is what a reader of headers needs."""
    header = json.dumps({name: {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    return len(header).to_bytes(8, "little") + header + noise(size, name)


SIDE = {
    "config.json": b'{"model_type": "qwen3"}',
    "generation_config.json": b'{"temperature": 0.6}',
    "tokenizer.json": noise(50_000, "tokenizer"),
    "tokenizer_config.json": b"{}",
    "README.md": b"---\nlicense: apache-2.0\n---\n",
}
EXTRA = {
    ".gitattributes": b"*.safetensors filter=lfs",
    "consolidated.safetensors": noise(1000, "consolidated"),
    "pytorch_model.bin": noise(1000, "bin"),
    "original/consolidated.00.pth": noise(1000, "pth"),
    "onnx/model.onnx": noise(1000, "onnx"),
    "figures/plot.png": noise(1000, "png"),
    "modeling_x.py": b"raise SystemExit",
}


def single(size=300_000):
    return SIDE | {"model.safetensors": safetensors("w", size)}


def sharded(count=3, size=200_000):
    names = [f"model-{n:05d}-of-{count:05d}.safetensors" for n in range(1, count + 1)]
    index = {"metadata": {}, "weight_map": {f"w{n}": name for n, name in enumerate(names)}}
    shards = {name: safetensors(f"w{n}", size) for n, name in enumerate(names)}
    return SIDE | shards | {"model.safetensors.index.json": json.dumps(index).encode()}


def ggufs(*names, size=100_000):
    return {name: b"GGUF" + noise(size, name) for name in names} | {"README.md": b"", ".gitattributes": b""}
