"""Which tokens begin and end a text, and whether the tokenizer adds them by itself.

Follows llama.cpp's `SpecialVocab` (gguf-py/gguf/vocab.py of the vendored tree) fact for fact, odd cases included: a
file that it writes and one that this writes carry the same keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pajamas_gguf.convert.vocab_files import NAMED_TOKENS, TokenizerFiles

# cls has no key of its own in GGUF.
_ID_KEYS = {
    "bos": "tokenizer.ggml.bos_token_id",
    "eos": "tokenizer.ggml.eos_token_id",
    "unk": "tokenizer.ggml.unknown_token_id",
    "sep": "tokenizer.ggml.seperator_token_id",
    "pad": "tokenizer.ggml.padding_token_id",
    "mask": "tokenizer.ggml.mask_token_id",
    "eot": "tokenizer.ggml.eot_token_id",
    "eom": "tokenizer.ggml.eom_token_id",
}
_ADD_KEYS = {
    "bos": "tokenizer.ggml.add_bos_token",
    "eos": "tokenizer.ggml.add_eos_token",
    "sep": "tokenizer.ggml.add_sep_token",
}


def special_keys(files: TokenizerFiles, n_vocab: int) -> dict[str, Any]:
    """The `*_token_id`, `add_*_token` and normalizer keys of GGUF for these files.

    Ids come from tokenizer_config.json's tokens where tokenizer.json lists them as added, else from config.json; an id
    outside the vocabulary is left out.

    Raises:
        ModelFileError: a file holds something else than it should.
    """
    return _SpecialTokens(files, n_vocab).keys()


class _SpecialTokens:
    def __init__(self, files: TokenizerFiles, n_vocab: int) -> None:
        self._files = files
        self._n_vocab = n_vocab
        self._kinds = list(NAMED_TOKENS)
        # A copy: the post-processor corrects what tokenizer_config.json says.
        self._tokens: dict[str, Any] = {
            kind: (files.config or {}).get(f"{kind}_token") for kind in (*NAMED_TOKENS, "eot", "eom")
        }
        self._add: dict[str, bool] = {}
        self._ids: dict[str, int] = {}

    def keys(self) -> dict[str, Any]:
        if self._files.tokenizer is not None:
            self._tokens["bos"] = self._tokens["bos"] or self._tokens["cls"]
            self._tokens["eos"] = self._tokens["eos"] or self._tokens["sep"]
            self._read_post_processor(self._files.tokenizer)
        if self._files.config is not None:
            self._read_tokenizer_config(self._files.config)
        self._read_model_config(self._files.model_config)
        found: dict[str, Any] = {_ID_KEYS[kind]: id_ for kind, id_ in self._ids.items() if kind in _ID_KEYS}
        found |= {_ADD_KEYS[kind]: add for kind, add in self._add.items() if kind in _ADD_KEYS}
        return found | self._normalizer_keys((self._files.tokenizer or {}).get("normalizer"))

    def _read_post_processor(self, tokenizer: Mapping[str, Any]) -> None:
        post = self._files.object(tokenizer, "post_processor", "tokenizer.json")
        for step in self._files.objects(post.get("processors", [post] if post else []), "post_processor"):
            match step.get("type"):
                case "ByteLevel":
                    self._add.setdefault("bos", False)
                    self._add.setdefault("eos", False)
                case "RobertaProcessing":
                    self._add |= {"bos": True, "eos": True, "sep": True}
                    self._tokens["sep"] = self._tokens["sep"] or _first(step.get("sep"), self._tokens["eos"])
                case "TemplateProcessing":
                    self._read_template(step)

    def _read_template(self, step: Mapping[str, Any]) -> None:
        """A template that adds tokens before or after one text, and between two."""
        single = self._files.objects(step.get("single") or [], "single")
        pair = self._files.objects(step.get("pair") or [], "pair")
        first = self._special(single[0]) if len(single) > 1 else None
        last = self._special(single[-1]) if len(single) > 1 else None
        if first:
            self._leading(first)
        if last:
            self._trailing(last)
        if pair:
            self._separator(pair, first, last)

    def _leading(self, first: str) -> None:
        tokens = self._tokens
        if self._files.config is None:
            tokens["bos"] = first
        elif first not in (tokens["bos"], tokens["cls"]):
            tokens["bos"] = tokens["bos"] or first
            tokens["cls"] = tokens["cls"] or first
        self._add["bos"] = first in (tokens["bos"], tokens["cls"])

    def _trailing(self, last: str) -> None:
        tokens = self._tokens
        if self._files.config is not None and last != tokens["eos"]:
            # The configured end token ends a turn or a message; the one that the template adds ends the text.
            for kind in ("eot", "eom"):
                if kind not in self._kinds:
                    self._kinds.append(kind)
                    tokens[kind] = tokens["eos"]
                    break
        tokens["eos"] = last
        self._add["eos"] = True

    def _separator(self, pair: list[Mapping[str, Any]], first: str | None, last: str | None) -> None:
        tokens = self._tokens
        start = 1 if first and self._special(pair[0]) == first else 0
        stop = len(pair) - 1 if last and self._special(pair[-1]) == last else len(pair)
        pair = pair[start:stop]
        if not pair or _part(pair[0], "Sequence") != "A" or _part(pair[-1], "Sequence") != "B":
            return
        middle = pair[1:-1]
        if not middle:
            return
        ends = [token for token in (tokens["sep"], tokens["eos"]) if token]
        add = self._special(middle[0]) in ends and not last
        if len(middle) == 2:
            add = add or self._special(middle[1]) in ends
        self._add["sep"] = add
        if add and not tokens["sep"] and self._files.config is not None:
            tokens["sep"] = tokens["eos"]

    def _special(self, part: Mapping[str, Any]) -> str | None:
        text = _part(part, "SpecialToken")
        return text if isinstance(text, str) and text else None

    def _read_tokenizer_config(self, config: Mapping[str, Any]) -> None:
        ids: dict[str, int] = {}
        for token in self._files.json_added_tokens:
            ids.setdefault(token.content, token.id)
        for kind in self._kinds:
            add = config.get(f"add_{kind}_token")
            if isinstance(add, bool):
                self._add.setdefault(kind, add)  # the post-processor, which really adds them, was read before
            token = self._tokens[kind]
            text = token.get("content") if isinstance(token, dict) else token
            if isinstance(text, str):
                self._set(kind, ids.get(text))

    def _read_model_config(self, config: Mapping[str, Any]) -> None:
        inner = config.get("text_config")
        for kind in self._kinds:
            value = config.get(f"{kind}_token_id")
            if value is None and isinstance(inner, dict):
                value = inner.get(f"{kind}_token_id")
            self._set(kind, value)

    def _set(self, kind: str, value: Any) -> None:
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < self._n_vocab:
            self._ids.setdefault(kind, value)

    def _normalizer_keys(self, normalizer: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        # A list instead of recursion: a hostile file nests as deep as it likes.
        todo: list[Mapping[str, Any]] = [normalizer] if isinstance(normalizer, dict) else []
        while todo:
            step = todo.pop(0)
            match step.get("type"):
                case "Lowercase":
                    found["tokenizer.ggml.normalizer.lowercase"] = True
                case "StripAccents":
                    found["tokenizer.ggml.normalizer.strip_accents"] = True
                case "BertNormalizer":
                    for name in ("lowercase", "strip_accents"):
                        if isinstance(step.get(name), bool):
                            found[f"tokenizer.ggml.normalizer.{name}"] = step[name]
                case "Sequence":
                    todo[:0] = self._files.objects(step.get("normalizers", []), "normalizers")
        return found


def _part(part: Mapping[str, Any], kind: str) -> Any:
    inner = part.get(kind)
    return inner.get("id") if isinstance(inner, dict) else None


def _first(pair: Any, default: Any) -> Any:
    return pair[0] if isinstance(pair, list) and pair else default
