"""general.* keys: what model cards, configs and names say about a model, by the GGUF naming convention.

gguf's own `Metadata.load` holds the rules (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), and wants a
folder.
"""

from __future__ import annotations

import dataclasses
import json
import math
import tempfile
from pathlib import Path
from typing import Any

import gguf

from pajamas.errors import ModelFileError, UnsupportedModel
from pajamas.modelfiles import ModelFiles, read_json
from pajamas_gguf.convert.fallback import OTHER_CONVERTER

_CARD = "README.md"
_LARGEST_CARD = 1 << 20
_WHOLE_NUMBERS = ("sampling_top_k", "sampling_penalty_last_n", "sampling_mirostat")
_TEXT_LISTS = ("tags", "languages")
_RECORD_LISTS = ("base_models", "datasets")
_POOLING = (
    ("pooling_mode_mean_tokens", "mean", "MEAN"),
    ("pooling_mode_cls_token", "cls", "CLS"),
    ("pooling_mode_lasttoken", "lasttoken", "LAST"),
)


def write_general(files: ModelFiles, name: str, writer: Any) -> None:
    """Every general.* key but the file type and the quantization version, in llama.cpp's order.

    Args:
        name: what the model's folder or repository is called, such as "Qwen3-8B-Instruct".
        writer: a GGUFWriter that knows all tensors: the size label counts them.
    """
    total, shared, expert, experts = writer.get_total_parameter_count()
    metadata = load_metadata(files, name, total)
    if metadata.size_label is None and total > 0:
        metadata.size_label = gguf.size_label(total, shared, expert, experts)
    writer.add_type(gguf.GGUFType.MODEL)
    metadata.set_gguf_meta_model(writer)


def load_metadata(files: ModelFiles, name: str, total_parameters: int) -> Any:
    """gguf.Metadata of the model; fields of a type that GGUF has no place for are left out."""
    with tempfile.TemporaryDirectory(prefix="pajamas-") as parent:
        plain = name.replace("/", "-").replace("\0", "")[:200]
        folder = Path(parent) / (plain if plain.strip(".") else "model")
        folder.mkdir()
        generation, config = _generation_config(files), read_json(files, "config.json") or {}
        (folder / "generation_config.json").write_text(json.dumps(generation), encoding="utf-8")
        if isinstance(origin := config.get("_name_or_path"), str):
            (folder / "config.json").write_text(json.dumps({"_name_or_path": origin}), encoding="utf-8")
        if 0 < files.sizes().get(_CARD, 0) <= _LARGEST_CARD:
            (folder / _CARD).write_bytes(files.read(_CARD))
        try:
            metadata = gguf.Metadata.load(None, folder, None, total_parameters)
        except (gguf.metadata.yaml.YAMLError, AttributeError, TypeError, ValueError, RecursionError):
            # A model card is written by hand: one that cannot be read costs its keys, not the conversion.
            (folder / _CARD).unlink(missing_ok=True)
            metadata = gguf.Metadata.load(None, folder, None, total_parameters)
    if metadata.sampling_penalty_repeat is None and "penalty_repeat" not in generation:
        # gguf 0.19.0 does not look here yet; llama.cpp's own copy of it does.
        metadata.sampling_penalty_repeat = generation.get("repetition_penalty")
    if metadata.name is None:
        metadata.name = name
    _keep_writable(metadata)
    return metadata


def pooling_type(files: ModelFiles) -> Any:
    """gguf.PoolingType of an embedding model in sentence-transformers' layout; None for any other model."""
    try:
        modules = json.loads(files.read("modules.json")) if "modules.json" in files.sizes() else None
    except ValueError as error:
        raise ModelFileError("modules.json is not valid JSON.", str(error), "Download the model again.") from error
    for module in modules if isinstance(modules, list) else []:
        if isinstance(module, dict) and str(module.get("type")).endswith("Pooling"):
            config = read_json(files, f"{module.get('path')}/config.json") or {}
            for key, mode, kind in _POOLING:
                if config.get(key) or config.get("pooling_mode") == mode:
                    return getattr(gguf.PoolingType, kind)
            raise UnsupportedModel(
                "The model pools in a way that is not understood.",
                "Mean, first and last token are.",
                OTHER_CONVERTER,
            )
    return None


def _generation_config(files: ModelFiles) -> dict[str, Any]:
    try:
        return read_json(files, "generation_config.json") or {}
    except ModelFileError:
        return {}  # like llama.cpp's converter: not all models have a sound one


def _keep_writable(metadata: Any) -> None:
    """Make every field what the writer can write, or None: cards hold dates, numbers and nulls where text belongs."""
    for field in dataclasses.fields(metadata):
        value = getattr(metadata, field.name)
        if field.name in _TEXT_LISTS:
            kept: Any = [text for item in value or () if (text := _text(item)) is not None] or None
        elif field.name in _RECORD_LISTS:
            kept = value and [
                {key: text for key, item in record.items() if (text := _text(item)) is not None}
                for record in value
                if isinstance(record, dict)
            ]
        elif field.name in _WHOLE_NUMBERS:
            whole = isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1
            kept = int(value) if whole and abs(value) < 1 << 31 else None
        elif field.name.startswith("sampling_") and field.name != "sampling_sequence":
            usable = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            kept = value if usable and abs(value) < 1e38 else None
        elif field.name == "license" and isinstance(value, list):
            kept = ",".join(text for item in value if (text := _text(item)) is not None) or None
        else:
            kept = _text(value)
        setattr(metadata, field.name, kept)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, bool | list | dict):
        return None
    return str(value).encode("utf-8", "replace").decode()
