"""Which files of a repository make up the model: chosen from names alone, so it works for listings and for folders."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Sequence
from fnmatch import fnmatch
from typing import Any

from attrs import frozen

from pajamas.errors import ModelFileError, ModelNotFound, UnsupportedModel, UsageError
from pajamas.source import is_safe_name

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
WEIGHT_SUFFIXES = (".safetensors", ".gguf")
# Everything that config, tokenizer, chat template and metadata are read from. README.md is the model card: licence,
# base model and languages go into an artifact's metadata.
SIDE_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "*.model",
    "*.tiktoken",
    "tekken.json",
    "chat_template.json",
    "chat_template.jinja",
    "additional_chat_templates/*.jinja",
    "README.md",
    INDEX,
)

_SHARD = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<suffix>\.safetensors|\.gguf)")
# Of a set without an index; most writers pad the numbers to five digits.
_NUMBERED = re.compile(r"model-(?P<number>\d{1,6})-of-(?P<count>\d{1,6})\.safetensors")
# What a quantization is called at the end of a file's name: Q4_K_M, IQ3_XXS, UD-Q4_K_XL, TQ1_0, MXFP4, NVFP4, BF16 ...
_ENCODING = re.compile(
    r"(?:^|[-._/])((?:UD-)?(?:I?Q\d(?:_\w+)?|TQ\d_\d|MXFP4(?:_\w+)?|NVFP4|BF16|FP?16|FP?32))(?=$|[-./])", re.IGNORECASE
)
# Companions of a model that are GGUF files too: a vision projector, the data that steered a quantization, a draft head.
_COMPANION = re.compile(r"(.*/)?((mmproj|imatrix|mtp)[-_.].*|.*[-_.](mmproj|imatrix)\.gguf)", re.IGNORECASE)
_MOST_SHARDS = 10_000
_MOST_INDEX_BYTES = 256 * 2**20


@frozen
class GGUFChoice:
    """One model among a repository's GGUF files: a single file, or all shards of one."""

    files: tuple[str, ...]
    encoding: str
    """What to write after the colon to get it."""


def side_files(names: Collection[str]) -> list[str]:
    """The small files that a Hugging Face model is read from, weights aside, sorted."""
    return sorted(name for name in names if is_safe_name(name) and any(_matches(name, p) for p in SIDE_FILES))


def _matches(name: str, pattern: str) -> bool:
    return name.count("/") == pattern.count("/") and fnmatch(name, pattern)


def weight_files(names: Collection[str], index: bytes | None, origin: str) -> list[str]:
    """The safetensors files of a model, some of which may be missing from `names`; empty if there are none.

    Like transformers: one `model.safetensors`, else the files that the index names. Without either, all files of one
    numbered set, else every safetensors file but `consolidated*`, which repeats the model in another layout.

    Args:
        names: the repository's or folder's files.
        index: content of `model.safetensors.index.json`, needed only where there is no `model.safetensors`.
        origin: for messages.

    Raises:
        ModelFileError: the index is damaged or names files outside the repository.
    """
    if SINGLE in names:
        return [SINGLE]
    if index is not None:
        return _indexed_files(index, origin)
    found = sorted(name for name in names if "/" not in name and name.endswith(".safetensors") and is_safe_name(name))
    if numbered := next(filter(None, map(_NUMBERED.fullmatch, found)), None):
        return _numbered_set(numbered)
    return [name for name in found if not name.startswith("consolidated")] or found


def _indexed_files(index: bytes, origin: str) -> list[str]:
    fix = "Download the model again, or tell its author."
    if len(index) > _MOST_INDEX_BYTES:
        raise ModelFileError(f"{INDEX} of {origin} is damaged.", f"It holds {len(index)} bytes.", fix)
    try:
        content: Any = json.loads(index)
        named = content["weight_map"].values()
        files = sorted(set(named))
        if not files or not all(isinstance(name, str) for name in files):
            raise TypeError("its weight_map names no files")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelFileError(f"{INDEX} of {origin} is damaged.", f"It cannot be read: {error}", fix) from error
    for name in files:
        check_name(name, origin)
        if not name.endswith(".safetensors"):
            raise ModelFileError(f"{INDEX} of {origin} is damaged.", f"It names {name!r} as weights.", fix)
    return files


def _numbered_set(match: re.Match[str]) -> list[str]:
    count, digits = int(match["count"]), len(match["number"])
    if not 1 <= count <= _MOST_SHARDS:
        return [match[0]]
    return [f"model-{number:0{digits}d}-of-{match['count']}.safetensors" for number in range(1, count + 1)]


def _all_shards(name: str) -> list[str]:
    match = _SHARD.fullmatch(name)
    assert match is not None
    count = int(match["count"])
    if not 1 <= count <= _MOST_SHARDS:
        return [name]
    return [f"{match['stem']}-{number:05d}-of-{count:05d}{match['suffix']}" for number in range(1, count + 1)]


def check_complete(wanted: Iterable[str], names: Collection[str], origin: str) -> None:
    """Raise `ModelFileError` naming the files that are wanted and not there."""
    missing = [name for name in wanted if name not in names]
    if missing:
        raise ModelFileError(
            f"{origin} is incomplete: it lacks {len(missing)} of the files that its weights are in.",
            f"Not there: {', '.join(missing[:5])}{' ...' if len(missing) > 5 else ''}",
            "Fetch the missing files, or use another revision.",
        )


def check_name(name: str, origin: str) -> None:
    """Raise `ModelFileError` for a name that would leave the folder it is joined to."""
    if not is_safe_name(name):
        raise ModelFileError(
            f"{origin} names a file that no repository may name.",
            f"{name!r} would lie outside its folder.",
            "Do not use this repository.",
        )


def no_weights(names: Collection[str], origin: str) -> UnsupportedModel:
    """The error for a repository without safetensors, saying what it has instead."""
    other = sorted(name for name in names if name.endswith((".bin", ".pt", ".pth", ".onnx", ".h5", ".msgpack")))
    has = f"It holds {', '.join(other[:3])} instead." if other else "It holds no weight files that are known."
    fix = "Find a revision or a copy with .safetensors files: pickled weights can run code and are never read."
    return UnsupportedModel(f"{origin} has no safetensors weights.", has, fix)


def gguf_choices(names: Iterable[str]) -> list[GGUFChoice]:
    """The models among a repository's GGUF files, shards put together, companions left out."""
    groups: dict[str, list[str]] = {}
    for name in sorted(names):
        if name.endswith(".gguf") and is_safe_name(name) and not _COMPANION.fullmatch(name):
            match = _SHARD.fullmatch(name)
            groups.setdefault(match["stem"] + match["count"] if match else name, []).append(name)
    return [
        GGUFChoice(tuple(_all_shards(g[0]) if _SHARD.fullmatch(g[0]) else g), _encoding(g[0])) for g in groups.values()
    ]


def _stem(name: str) -> str:
    match = _SHARD.fullmatch(name)
    return match["stem"] if match else name.removesuffix(".gguf")


def _encoding(name: str) -> str:
    stem = _stem(name)
    found = _ENCODING.findall(stem.rpartition("/")[2]) or _ENCODING.findall(stem)
    return found[-1] if found else stem.rpartition("/")[2]


def choose_gguf(names: Collection[str], quant: str | None, filename: str | None, origin: str) -> tuple[str, ...]:
    """The one GGUF model that was asked for: its file, or all its shards in order.

    `quant` is compared without regard to case, first with what the files' encodings are called, then with any part of
    their names between `-`, `.` and `/`.

    Raises:
        ModelNotFound: no file carries that encoding or name; the message lists those there are.
        UsageError: several do, or none was asked for and there are several.
        ModelFileError: shards are missing.
    """
    choices = gguf_choices(names)
    if filename is not None:
        found = [c for c in choices if filename in c.files] or [GGUFChoice((n,), "") for n in names if n == filename]
        what = f"the file {filename}"
    elif quant is not None:
        found = _by_encoding(choices, quant)
        what = f"a GGUF file of {quant}"
    else:
        found, what = choices, "a GGUF file"
    if len(found) == 1:
        check_complete(found[0].files, names, origin)
        return found[0].files
    if not found:
        there = f"It has {_listed([c.encoding for c in choices])}" if choices else "It has no GGUF files."
        raise ModelNotFound(f"{origin} does not have {what}.", there, _example(choices, origin))
    listed = _listed([c.encoding for c in found] if quant is None else [c.files[0] for c in found])
    raise UsageError(
        f"{origin} has {len(found)} GGUF models: which one?", f"There are {listed}", _example(found, origin)
    )


def _by_encoding(choices: Sequence[GGUFChoice], quant: str) -> list[GGUFChoice]:
    wanted = quant.upper()
    part = re.compile(rf"(^|[-./]){re.escape(wanted)}($|[-./])")
    return [c for c in choices if c.encoding.upper() == wanted] or [
        c for c in choices if part.search(_stem(c.files[0]).upper())
    ]


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words[:40]) + (f" and {len(words) - 40} more" if len(words) > 40 else "")


def _example(choices: Sequence[GGUFChoice], origin: str) -> str:
    if not choices:
        return "Check the repository's name, or leave the quantization out."
    encodings = [c.encoding for c in choices]
    best = next((c for c in choices if c.encoding.upper() == "Q4_K_M"), choices[0])
    if encodings.count(best.encoding) > 1:  # the encoding alone would be ambiguous again
        return f"For example hf://{origin}/{best.files[0]}"
    return f"For example {origin}:{best.encoding}"
