"""A model's tokenizer files, read and checked once: tokenizer.json, tokenizer_config.json and their older siblings."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from attrs import frozen

from pajamas.errors import ModelFileError
from pajamas.modelfiles import ModelFiles, read_json

_MAX_FILE = 256 << 20
MAX_TOKENS = 1 << 20  # four times the largest vocabulary in use: a hostile config must not fill the memory

NAMED_TOKENS = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")

_FAMILIES = {
    "Llama": "llama",
    "LLaMA": "llama",
    "Mistral": "mistral",
    "Mixtral": "mixtral",
    "Phi3": "phi3",
    "Qwen2Moe": "qwen2_moe",
    "Qwen3Moe": "qwen3_moe",
    "Qwen2": "qwen2",
    "Qwen3": "qwen3",
}

# What a tokenizer class names when tokenizer_config.json does not (transformers 5, the classes' constructors).
_CLASS_DEFAULTS: dict[str, dict[str, str]] = {
    "Qwen2Tokenizer": {"unk": "<|endoftext|>", "eos": "<|endoftext|>", "pad": "<|endoftext|>"},
    "GPT2Tokenizer": {"unk": "<|endoftext|>", "bos": "<|endoftext|>", "eos": "<|endoftext|>"},
    "LlamaTokenizer": {"unk": "<unk>", "bos": "<s>", "eos": "</s>"},
}


@frozen
class AddedToken:
    id: int
    content: str
    special: bool
    normalized: bool


class TokenizerFiles:
    """The tokenizer's share of `files`. Everything that is handed out has been checked for its type.

    Raises (also from every property):
        ModelFileError: a file is damaged, or holds something else than it should.
    """

    def __init__(self, files: ModelFiles, config: Mapping[str, Any]) -> None:
        self.files = files
        self.model_config = config
        self.tokenizer = read_json(files, "tokenizer.json")
        # An empty object says as much as no file, here and in llama.cpp's converter.
        self.config = read_json(files, "tokenizer_config.json") or None

    @property
    def family(self) -> str:
        """The model's family as config.json's architecture begins, in model_type's spelling; else its model_type."""
        names = self.model_config.get("architectures")
        name = names[0] if isinstance(names, list) and names else None
        for start, family in _FAMILIES.items():
            if isinstance(name, str) and name.startswith(start):
                return family
        return self._model_type

    @property
    def _model_type(self) -> str:
        name = self.model_config.get("model_type")
        return name if isinstance(name, str) else ""

    @property
    def tokenizer_class(self) -> str:
        """tokenizer_config.json's class without "Fast", or ""."""
        name = (self.config or {}).get("tokenizer_class")
        return name.removesuffix("Fast") if isinstance(name, str) else ""

    @cached_property
    def vocab_size(self) -> int | None:
        """Rows of the embedding, as config.json states them."""
        size = self.model_config.get("vocab_size")
        if size is None:
            return None
        if not isinstance(size, int) or isinstance(size, bool) or not 0 < size <= MAX_TOKENS:
            raise self.error("config.json", f"vocab_size is {size!r}.")
        return size

    @cached_property
    def model(self) -> Mapping[str, Any]:
        """tokenizer.json's model; {} without such a file."""
        return self.object(self.tokenizer or {}, "model", "tokenizer.json")

    @cached_property
    def json_added_tokens(self) -> tuple[AddedToken, ...]:
        """tokenizer.json's added tokens."""
        entries = (self.tokenizer or {}).get("added_tokens") or []
        if not isinstance(entries, list):
            raise self.error("tokenizer.json", "added_tokens is not a list.")
        return tuple(self._added(entry, None, "tokenizer.json") for entry in entries)

    @cached_property
    def config_added_tokens(self) -> tuple[AddedToken, ...]:
        """tokenizer_config.json's added_tokens_decoder."""
        decoder = self.object(self.config or {}, "added_tokens_decoder", "tokenizer_config.json")
        return tuple(self._added(entry, key, "tokenizer_config.json") for key, entry in decoder.items())

    @cached_property
    def file_added_tokens(self) -> tuple[AddedToken, ...]:
        """added_tokens.json: text to id."""
        found = read_json(self.files, "added_tokens.json") or {}
        special = {*self.named_texts(), *self.extra_texts()}
        return tuple(
            AddedToken(self.token_id(id_, "added_tokens.json"), text, text in special, text not in special)
            for text, id_ in found.items()
        )

    def named_texts(self) -> list[str]:
        """Texts of the tokens that have a name: tokenizer_config.json's `*_token`, or its class's own."""
        defaults = _CLASS_DEFAULTS.get(self.loading_class, {})
        named = {f"{name}_token": text for name, text in defaults.items()} | (self.config or {})
        first = [f"{name}_token" for name in NAMED_TOKENS]  # those that the vocabulary lacks are added in this order
        keys = [*first, *(key for key in named if key.endswith("_token") and key not in first)]
        texts = (_content(named.get(key)) for key in keys)
        return [text for text in texts if text is not None]

    def extra_texts(self) -> list[str]:
        """Texts of the further tokens that tokenizer_config.json lists as special."""
        found: list[str] = []
        for key in ("additional_special_tokens", "extra_special_tokens"):
            extra = (self.config or {}).get(key)
            entries = extra.values() if isinstance(extra, dict) else extra if isinstance(extra, list) else ()
            found += [text for entry in entries if (text := _content(entry)) is not None]
        return found

    @property
    def loading_class(self) -> str:
        """The class that transformers loads these files with, "" for its general one."""
        declared, model_type = self.tokenizer_class, self._model_type or self.family
        if model_type == "qwen2" or (model_type in ("qwen3", "qwen3_moe") and not declared):
            return "Qwen2Tokenizer"
        if model_type in ("phi3", "mistral", "mixtral"):
            return ""
        if declared == "LlamaTokenizer" and self.model.get("byte_fallback") is not True:
            return ""  # byte-level, which that class is not
        return declared

    def token_id(self, value: Any, file: str) -> int:
        """`value` as a token's id."""
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < MAX_TOKENS:
            raise self.error(file, f"{_short(value)} is not a token id.")
        return value

    def object(self, parent: Mapping[str, Any], key: str, file: str) -> Mapping[str, Any]:
        """The object under `key`; {} where there is none."""
        value = parent.get(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.error(file, f"{key} is not an object.")
        return value

    def objects(self, value: Any, what: str) -> list[Mapping[str, Any]]:
        """`value` as a list of objects."""
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            raise self.error("the tokenizer", f"{what} is not a list of objects.")
        return value

    def text(self, name: str) -> str | None:
        """The text of the file `name`, UTF-8, its lines ended as Python's open() gives them; None if there is none."""
        if name not in self.files.sizes():
            return None
        try:
            return self.bytes(name).decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
        except UnicodeDecodeError as error:
            raise self.error(name, f"It is not UTF-8: {error}.") from error

    def bytes(self, name: str) -> bytes:
        """The content of the file `name`, which is there."""
        size = self.files.sizes()[name]
        if size > _MAX_FILE:
            raise self.error(name, f"{size:,} bytes are too many for a tokenizer.")
        return self.files.read(name, 0, size)

    def json(self, name: str) -> dict[str, Any] | None:
        """The JSON object in the file `name`; None if there is none."""
        return read_json(self.files, name)

    def error(self, file: str, why: str) -> ModelFileError:
        return ModelFileError(
            f"{file} of {self.files.origin} is not a sound tokenizer.", why, "Download the model again."
        )

    def _added(self, entry: Any, key: str | None, file: str) -> AddedToken:
        if not isinstance(entry, dict) or not isinstance(entry.get("content"), str):
            raise self.error(file, f"An added token is {_short(entry)}.")
        id_ = self.token_id(entry.get("id") if key is None else key, file)
        special, normalized = entry.get("special", False), entry.get("normalized", not entry.get("special", False))
        return AddedToken(id_, entry["content"], special is True, normalized is True)


def _content(entry: Any) -> str | None:
    """The text of a token written as a string or as an object."""
    text = entry.get("content") if isinstance(entry, dict) else entry
    return text if isinstance(text, str) else None


def _short(value: Any) -> str:
    text = repr(value) if not isinstance(value, int) or abs(value) < 1 << 64 else "a huge number"
    return text if len(text) <= 60 else text[:57] + "..."
