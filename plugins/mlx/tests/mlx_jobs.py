"""Jobs of the MLX quantizer, and what came of them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from pajamas.architecture import detect_architecture
from pajamas.modelfiles import LocalFiles
from pajamas.safetensors_header import read_tensors
from pajamas.source import Source
from pajamas.types import QuantizeJob
from pajamas_mlx.quantize import origin
from pajamas_mlx.quantize.pipeline import make_task
from pajamas_mlx.quantize.recipe import find_recipe
from pajamas_mlx.quantize.work import work

TINY = Path(__file__).parents[2] / "tiny/src/pajamas_tiny/model"
WIDE = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 512, "intermediate_size": 1024,
    "num_hidden_layers": 16, "num_attention_heads": 8, "num_key_value_heads": 8, "vocab_size": 1024,
    "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "rope_theta": 1e4, "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}  # fmt: skip
"""A config whose layers are small against the whole model of 87 MB, and as wide as its vocabulary."""


def make_job(model, output, scheme="4bit", **options):
    files = LocalFiles(model)
    source = Source(text=str(model), kind="folder", path=model)
    defaults = {"architecture": detect_architecture(files), "name": model.name, "contexts": ()}
    return QuantizeJob(
        files=files, source=source, format="mlx", scheme=scheme, output=output, **{**defaults, **options}
    )


def made(model, parent, scheme="4bit", text=None, events=None, **options):
    """The result of a conversion in this process, and its folder, complete with tokenizer."""
    job = make_job(model, parent / "out", scheme, **options)
    origin.check(job)
    source, output = parent / "source", parent / "made"
    for folder in (source, output):
        folder.mkdir(parents=True)
    origin.link(job.files, source)
    told = (lambda event, **fields: events.append((event, fields))) if events is not None else (lambda *_, **__: None)
    result = work(make_task(job, find_recipe(job), source, output, text), told)
    origin.copy_small_files(job.files, output)
    return result, output


def planned(model, parent, scheme="4bit", **options):
    """The same of a dry run."""
    job = make_job(model, parent / "out", scheme, **options)
    tensors, _ = origin.check(job)
    outline = parent / "outline"
    outline.mkdir(parents=True)
    origin.outline(job.files, tensors, outline)
    return work(make_task(job, find_recipe(job), outline, None, None), lambda *_, **__: None)


def types_of(result):
    return {name: kind for name, _, kind, *_ in result.tensors}


def kinds_of(result):
    return Counter(types_of(result).values())


def written(folder):
    """Bytes of the weight files."""
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def stored(folder):
    """Name to safetensors' own dtype and shape."""
    return {name: (entry.dtype, entry.shape) for name, entry in read_tensors(LocalFiles(folder)).items()}


def config_of(folder):
    return json.loads((folder / "config.json").read_text(encoding="utf-8"))
