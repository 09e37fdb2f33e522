"""The SentencePiece part of vocab_families.py."""

from __future__ import annotations

from vocab_models import added, config, decoder_of, model_file, pieces, sentencepiece_json

_ENDS = [added(0, "<unk>"), added(1, "<s>"), added(2, "</s>")]


def llama2(**tokens):
    size = len(pieces())
    old = {"lstrip": False, "rstrip": False, "single_word": False, "normalized": False, "__type": "AddedToken"}
    return {
        "tokenizer.model": model_file(pieces()),
        "tokenizer.json": sentencepiece_json(pieces(), _ENDS),
        "tokenizer_config.json": {
            "tokenizer_class": "LlamaTokenizer",
            "add_bos_token": True,
            "add_eos_token": False,
            "bos_token": {"content": "<s>", **old},
            "eos_token": {"content": "</s>", **old},
            "unk_token": {"content": "<unk>", **old},
            "pad_token": None,
            **tokens,
        },
        "config.json": config("LlamaForCausalLM", "llama", size, bos_token_id=1, eos_token_id=2, pad_token_id=0),
    }


def llama2_with_added_tokens():
    size = len(pieces())
    more = [
        added(size, "[PAD]"),
        added(size + 1, "<|im_end|>", special=False),
        added(size + 2, "▁<PRE>", special=False),
    ]
    files = llama2(pad_token="[PAD]", add_prefix_space=True, added_tokens_decoder=decoder_of([*_ENDS, *more]))
    files["added_tokens.json"] = {"[PAD]": size, "<|im_end|>": size + 1, "▁<PRE>": size + 2, "<far>": size + 100}
    files["config.json"] |= {"vocab_size": size + 5}
    del files["tokenizer.json"]
    return files


def llama2_without_tokenizer_model():
    files = llama2()
    size = len(pieces())
    files["tokenizer.json"]["added_tokens"] = [*_ENDS, added(size, "<pad>"), added(size + 1, "<tool>", special=False)]
    files["tokenizer_config.json"] |= {"tokenizer_class": "LlamaTokenizerFast", "pad_token": "<pad>"}
    del files["tokenizer.model"]
    return files


def mistral_v3():
    controls = [(text, 0.0, 3) for text in ("[INST]", "[/INST]", "[TOOL_CALLS]", "[control_8]")]
    base = pieces()
    base[3:3] = controls
    base.append(("<user-defined>", 0.0, 4))
    tokens = [added(id_, base[id_][0]) for id_ in range(7)]
    return {
        "tokenizer.model": model_file(base),
        "tokenizer.json": sentencepiece_json(base, tokens),
        "tokenizer_config.json": {
            "tokenizer_class": "LlamaTokenizer",
            "add_bos_token": True,
            "add_eos_token": False,
            "add_prefix_space": True,
            "added_tokens_decoder": decoder_of(tokens),
            "bos_token": "<s>",
            "eos_token": "</s>",
            "unk_token": "<unk>",
            "chat_template": "[INST]",
        },
        "config.json": config("MistralForCausalLM", "mistral", len(base), bos_token_id=1, eos_token_id=2),
    }


def phi3():
    size = len(pieces())
    names = ["<|endoftext|>", "<|assistant|>", "<|placeholder1|>", "<|system|>", "<|end|>", "<|user|>"]
    more = [added(size + id_, text, rstrip=id_ > 0) for id_, text in enumerate(names)]
    tokens = [*_ENDS[:2], added(2, "</s>", special=False, rstrip=True), *more]
    files = llama2(
        add_bos_token=False,
        added_tokens_decoder=decoder_of(tokens),
        eos_token="<|endoftext|>",
        pad_token="<|endoftext|>",
    )
    only_here = [added(size + 9, "<|only here|>", special=False), added(size + 10, "▁here", special=False)]
    files["tokenizer.json"]["added_tokens"] = [*tokens, *only_here]
    files["added_tokens.json"] = {token["content"]: token["id"] for token in more}
    files["config.json"] = config("Phi3ForCausalLM", "phi3", size + 20, bos_token_id=1, eos_token_id=size)
    return files
