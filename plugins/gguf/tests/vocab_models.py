"""Small tokenizers with the real structure of each family, as folders in Hugging Face's layout.

`python vocab_models.py FOLDER` writes those of vocab_families.py, so that llama.cpp's converter can be run on them
again for vocab_goldens.json. It knows a pre-tokenizer only by the hash of what it makes of a test text; on these
vocabularies, which it has never seen, it has to be told the name.
"""

from __future__ import annotations

import hashlib
import json
import struct
import sys
from pathlib import Path

TINY = Path(__file__).parents[2] / "tiny/src/pajamas_tiny/model/tokenizer.json"

QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3 = QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
GPT4O = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEKKEN = GPT4O.replace("(?i:'s|'t|'re|'ve|'m|'ll|'d)?", "").replace(r"\p{N}{1,3}", r"\p{N}")

BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
GPT2_BYTES = {**BYTES, "use_regex": True}
DIGITS = {"type": "Digits", "individual_digits": True}

A = {"Sequence": {"id": "A", "type_id": 0}}
B = {"Sequence": {"id": "B", "type_id": 1}}


def split(pattern, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior, "invert": invert}


def steps(*chain):
    return {"type": "Sequence", "pretokenizers": list(chain)}


def special(text):
    return {"SpecialToken": {"id": text, "type_id": 0}}


def template(single, pair, ids):
    """A post-processor that adds tokens; `ids` gives theirs by text."""
    tokens = {text: {"id": text, "ids": [id_], "tokens": [text]} for text, id_ in ids.items()}
    return {"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": tokens}


def added(id_, text, special=True, normalized=False, **flags):
    flags = {"single_word": False, "lstrip": False, "rstrip": False, **flags}
    return {"id": id_, "content": text, **flags, "normalized": normalized, "special": special}


def decoder_of(tokens):
    """The same tokens as tokenizer_config.json lists them."""
    return {str(token["id"]): {key: value for key, value in token.items() if key != "id"} for token in tokens}


def base_vocabulary(merges=200):
    """The bundled model's bytes and first merges: (text to id, merges)."""
    model = json.loads(TINY.read_text(encoding="utf-8"))["model"]
    letters = [text for text in model["vocab"] if len(text) == 1]
    pairs = model["merges"][:merges]
    texts = letters + [left + right for left, right in pairs]
    return {text: id_ for id_, text in enumerate(texts)}, pairs


def byte_level(pre, names, *, post=None, old_merges=False, first=False, **model):
    """A byte-level tokenizer.json; `names` become special tokens behind the others, or before them."""
    vocabulary, merges = base_vocabulary()
    shift = len(names) if first else 0
    tokens = [added(id_ if first else len(vocabulary) + id_, text) for id_, text in enumerate(names)]
    vocabulary = {text: id_ + shift for text, id_ in vocabulary.items()}
    if first:
        vocabulary |= {token["content"]: token["id"] for token in tokens}
    return {
        "version": "1.0",
        "added_tokens": tokens,
        "normalizer": None,
        "pre_tokenizer": pre,
        "post_processor": post,
        "decoder": {**GPT2_BYTES, "add_prefix_space": True},
        "model": {
            "type": "BPE",
            "byte_fallback": False,
            "ignore_merges": False,
            **model,
            "vocab": vocabulary,
            "merges": [" ".join(pair) for pair in merges] if old_merges else merges,
        },
    }


def config(architecture, model_type, vocab_size, **more):
    """Enough of a config.json for llama.cpp's converter to get as far as the vocabulary."""
    return {
        "architectures": [architecture],
        "model_type": model_type,
        "vocab_size": vocab_size,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 2048,
        "original_max_position_embeddings": 2048,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        **more,
    }


def pieces():
    """SentencePiece pieces (text, score, type) in the order of Llama's: unknown, controls, bytes, merges, letters."""
    found = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3)]
    found += [(f"<0x{byte:02X}>", 0.0, 6) for byte in range(256)]
    _, merges = base_vocabulary()
    texts = [(left + right).replace("Ġ", "▁") for left, right in merges]
    words = [text for text in texts if text.isascii() or text.replace("▁", "").isascii()]
    letters = sorted({letter for word in words for letter in word} | {"▁", "é", "你"})
    return found + [(word, -float(rank), 1) for rank, word in enumerate(words)] + [
        (letter, -float(len(words) + rank), 1) for rank, letter in enumerate(letters)
    ]  # fmt: skip


def model_file(pieces, bos=1, eos=2):
    """The bytes of a tokenizer.model (sentencepiece_model.proto) with byte fallback."""

    def number(value):
        value &= (1 << 64) - 1
        low, rest = value & 0x7F, value >> 7
        return bytes([low | 0x80]) + number(rest) if rest else bytes([low])

    def field(key, content):
        if isinstance(content, int):
            return number(key << 3) + number(content)
        return number(key << 3 | 2) + number(len(content)) + content

    out = b""
    for text, score, kind in pieces:
        piece = field(1, text.encode()) + number(2 << 3 | 5) + struct.pack("<f", score)
        out += field(1, piece + (field(3, kind) if kind != 1 else b""))
    trainer = {3: 2, 4: len(pieces), 35: 1, 40: 0, 41: bos, 42: eos, 43: -1}
    out += field(2, b"".join(field(key, value) for key, value in trainer.items()))
    return out + field(3, field(1, b"identity") + field(3, 1) + field(4, 0) + field(5, 1))


def sentencepiece_json(pieces, tokens):
    """Hugging Face's form of the same vocabulary: a merge for every way to put two pieces together to a third."""
    vocabulary = {text: id_ for id_, (text, _, _) in enumerate(pieces)}
    words = sorted((-score, text) for text, score, kind in pieces if kind == 1)
    merges = []
    for _, text in words:
        ways = [(text[:cut], text[cut:]) for cut in range(1, len(text))]
        known = [way for way in ways if way[0] in vocabulary and way[1] in vocabulary]
        merges += [list(way) for way in sorted(known, key=lambda way: (vocabulary[way[0]], vocabulary[way[1]]))]
    space = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    back = {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}
    strip = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
    return {
        "version": "1.0",
        "added_tokens": tokens,
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, space]},
        "pre_tokenizer": None,
        "post_processor": template([special("<s>"), A], [special("<s>"), A, special("<s>"), B], {"<s>": 1}),
        "decoder": {"type": "Sequence", "decoders": [back, {"type": "ByteFallback"}, {"type": "Fuse"}, strip]},
        "model": {
            "type": "BPE",
            "unk_token": "<unk>",
            "fuse_unk": True,
            "byte_fallback": True,
            "vocab": vocabulary,
            "merges": merges,
        },
    }


def write(folder, files):
    """`files`: name to JSON value, text or bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        if not isinstance(content, str | bytes):
            content = json.dumps(content, ensure_ascii=False)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def summary(metadata):
    """tokenizer.* of a GGUF file in a form to be kept: long lists as their length and digest."""
    found = {}
    for key, value in metadata.items():
        if key.startswith("tokenizer."):
            if isinstance(value, list | tuple):
                value = list(value)
                if len(value) > 8:
                    text = json.dumps(value, ensure_ascii=False)
                    value = [len(value), hashlib.sha256(text.encode()).hexdigest()[:16]]
            found[key] = value
    return found


if __name__ == "__main__":
    from vocab_families import FAMILIES

    for name, make in FAMILIES.items():
        write(Path(sys.argv[1]) / name, make())
