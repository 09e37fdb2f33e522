"""Small models of every family with random weights, in Hugging Face layout.

The weights come from numpy's legacy generator, whose stream is frozen, so that digests of what llama.cpp's converter
made of these models hold for good (converter_goldens.json, written by tools/compare_converters.py).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pajamas.modelfiles import LocalFiles
from pajamas.source import Source
from pajamas_gguf.convert import converter
from random_model_configs import MODELS, Model

TOKENIZER = Path(__file__).parents[2] / "tiny/src/pajamas_tiny/model"
_DTYPES = {"bfloat16": "BF16", "float16": "F16", "float32": "F32", "float64": "F64"}


def make_model(name: str, parent: Path, model: Model | None = None) -> Path:
    """The model called `name` as a folder of that name in `parent`, with the bundled model's tokenizer."""
    model = MODELS[name] if model is None else model
    folder = parent / name
    folder.mkdir(parents=True)
    config = model["config"]
    _write_json(folder / "config.json", config)
    if "generation" in model:
        _write_json(folder / "generation_config.json", model["generation"])
    if "card" in model:
        (folder / "README.md").write_text(f"---\n{model['card']}\n---\n# {name}\n", encoding="utf-8")
    for file, value in model.get("files", {}).items():
        (folder / file).parent.mkdir(exist_ok=True)
        _write_json(folder / file, value)
    for file in ("tokenizer.json", "chat_template.jinja"):
        shutil.copyfile(TOKENIZER / file, folder / file)
    tokenizer = json.loads((TOKENIZER / "tokenizer_config.json").read_text(encoding="utf-8"))
    if config["model_type"] == "phi3":
        tokenizer["tokenizer_class"] = "GPT2Tokenizer"
    _write_json(folder / "tokenizer_config.json", tokenizer)
    write_weights(folder, model, seed=sum(name.encode()))
    return folder


def write_weights(folder: Path, model: Model, seed: int = 0) -> None:
    """Random weights for the model's config, in as many shards as it says, a layer's tensors spread over them."""
    random = np.random.RandomState(seed)
    dtypes = model.get("dtypes", (model.get("dtype", "bfloat16"),))
    names = [name for name in tensor_shapes(model) if name not in model.get("drop", ())]
    shapes = tensor_shapes(model)
    count = model.get("shards", 1)
    parts: list[dict[str, tuple[str, tuple[int, ...], bytes]]] = [{} for _ in range(count)]
    for number, name in enumerate(names):
        values = (random.standard_normal(shapes[name]) * 0.05).astype(np.float32)
        if name.endswith("norm.weight"):
            values += 1
        dtype = dtypes[number % len(dtypes)] if len(shapes[name]) > 1 else dtypes[-1]
        parts[number * count // len(names)][name] = encoded(values, dtype)
    if count == 1:
        write_safetensors(folder / "model.safetensors", parts[0])
        return
    weight_map = {}
    for number, part in enumerate(parts):
        file = f"model-{number + 1:05d}-of-{count:05d}.safetensors"
        write_safetensors(folder / file, part)
        weight_map |= dict.fromkeys(part, file)
    _write_json(folder / "model.safetensors.index.json", {"metadata": {"total_size": 0}, "weight_map": weight_map})


def encoded(values: np.ndarray, dtype: str) -> tuple[str, tuple[int, ...], bytes]:
    """A tensor as safetensors names its type, its shape and its bytes. BF16 is cut, not rounded: any bits will do."""
    shape = values.shape
    if dtype == "bfloat16":
        values = (values.view(np.uint32) >> 16).astype(np.uint16)
    elif dtype != "float32":
        values = values.astype(dtype)
    return _DTYPES[dtype], shape, values.tobytes()


def write_safetensors(path: Path, tensors: Mapping[str, tuple[str, tuple[int, ...], bytes]]) -> None:
    """One safetensors file; written by hand, since numpy knows no BF16."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header).encode()
    with path.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        stream.writelines(data for _, _, data in tensors.values())


def tensor_shapes(model: Model) -> dict[str, tuple[int, ...]]:
    """Names and shapes as transformers saves a model of this config."""
    config = model["config"]
    hidden = config["hidden_size"]
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (config["vocab_size"], hidden)}
    for layer in range(config["num_hidden_layers"]):
        shapes |= {f"model.layers.{layer}.{name}": shape for name, shape in _layer(model)}
    shapes["model.norm.weight"] = (hidden,)
    if not config.get("tie_word_embeddings"):
        shapes["lm_head.weight"] = (config["vocab_size"], hidden)
    if model.get("bare"):
        shapes = {name.removeprefix("model."): shape for name, shape in shapes.items() if name != "lm_head.weight"}
    return shapes | model.get("extra", {})


def _layer(model: Model) -> Iterator[tuple[str, tuple[int, ...]]]:
    config = model["config"]
    hidden, inner, heads = config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]
    kind, kv_heads = config["model_type"], config.get("num_key_value_heads") or heads
    size = config.get("head_dim") or hidden // heads
    yield "input_layernorm.weight", (hidden,)
    yield "post_attention_layernorm.weight", (hidden,)
    yield "self_attn.o_proj.weight", (hidden, heads * size)
    if kind == "phi3":
        yield "self_attn.qkv_proj.weight", ((heads + 2 * kv_heads) * size, hidden)
        yield "mlp.gate_up_proj.weight", (2 * inner, hidden)
        yield "mlp.down_proj.weight", (hidden, inner)
        return
    for name, rows in (("q", heads * size), ("k", kv_heads * size), ("v", kv_heads * size)):
        yield f"self_attn.{name}_proj.weight", (rows, hidden)
        if kind == "qwen2" or config.get("attention_bias"):
            yield f"self_attn.{name}_proj.bias", (rows,)
    if config.get("attention_bias"):
        yield "self_attn.o_proj.bias", (hidden,)
    if kind.startswith("qwen3"):
        yield "self_attn.q_norm.weight", (size,)
        yield "self_attn.k_norm.weight", (size,)
    if kind == "qwen3_moe":
        yield from _experts(config, model.get("fused", False))
        return
    for name, shape in (("gate", (inner, hidden)), ("up", (inner, hidden)), ("down", (hidden, inner))):
        yield f"mlp.{name}_proj.weight", shape
        if config.get("mlp_bias"):
            yield f"mlp.{name}_proj.bias", shape[:1]


def _experts(config: Mapping[str, Any], fused: bool) -> Iterator[tuple[str, tuple[int, ...]]]:
    count = config.get("num_experts") or config["num_local_experts"]
    hidden, inner = config["hidden_size"], config["moe_intermediate_size"]
    yield "mlp.gate.weight", (count, hidden)
    if fused:
        yield "mlp.experts.gate_up_proj", (count, 2 * inner, hidden)
        yield "mlp.experts.down_proj", (count, hidden, inner)
        return
    for number in range(count):
        yield f"mlp.experts.{number}.gate_proj.weight", (inner, hidden)
        yield f"mlp.experts.{number}.up_proj.weight", (inner, hidden)
        yield f"mlp.experts.{number}.down_proj.weight", (hidden, inner)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2), encoding="utf-8")


def convert_folder(folder, output, outtype=None, function=converter.convert, **options):
    """Convert the model in `folder`, named as the folder is."""
    source = Source(text=str(folder), kind="folder", path=folder)
    return function(LocalFiles(folder), source, output, name=folder.name, outtype=outtype, **options)
