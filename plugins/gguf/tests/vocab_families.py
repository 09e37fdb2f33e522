"""One small tokenizer for every layout that the converted families ship; the names say what is special about it."""

from __future__ import annotations

from vocab_families_spm import (
    llama2,
    llama2_with_added_tokens,
    llama2_without_tokenizer_model,
    mistral_v3,
    phi3,
)
from vocab_models import (
    BYTES,
    DIGITS,
    GPT2_BYTES,
    GPT4O,
    LLAMA3,
    QWEN2,
    TEKKEN,
    A,
    B,
    added,
    base_vocabulary,
    byte_level,
    config,
    decoder_of,
    special,
    split,
    steps,
    template,
)

CHATML = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def qwen2_without_tokenizer_json():
    vocabulary, merges = base_vocabulary()
    tokens = [added(len(vocabulary) + id_, text) for id_, text in enumerate(CHATML)]
    return {
        "vocab.json": vocabulary,
        "merges.txt": "#version: 0.2\n" + "\n".join(" ".join(pair) for pair in merges) + "\n",
        "tokenizer_config.json": {
            "tokenizer_class": "Qwen2Tokenizer",
            "add_prefix_space": False,
            "added_tokens_decoder": decoder_of(tokens),
            "additional_special_tokens": CHATML[1:],
            "bos_token": None,
            "eos_token": "<|endoftext|>",
            "pad_token": "<|endoftext|>",
            "unk_token": None,
            "chat_template": "{% for message in messages %}{{ message.content }}{% endfor %}",
        },
        "config.json": config("Qwen2ForCausalLM", "qwen2", 512, bos_token_id=456, eos_token_id=456),
    }


def qwen3():
    names = [*CHATML, "<think>", "</think>", "<tool_call>", "</tool_call>"]
    tokenizer = byte_level(steps(split(QWEN2), BYTES), names, post=BYTES)
    tokenizer["normalizer"] = {"type": "NFC"}
    for token in tokenizer["added_tokens"][3:]:
        token["special"] = False
    return {
        "tokenizer.json": tokenizer,
        "tokenizer_config.json": {
            "tokenizer_class": "Qwen2Tokenizer",
            "add_bos_token": False,
            "added_tokens_decoder": decoder_of(tokenizer["added_tokens"]),
            "additional_special_tokens": CHATML[1:],
            "bos_token": None,
            "eos_token": "<|im_end|>",
            "pad_token": "<|endoftext|>",
            "unk_token": None,
            "chat_template": "from tokenizer_config.json",
        },
        "chat_template.jinja": "from chat_template.jinja",
        "config.json": config("Qwen3ForCausalLM", "qwen3", 480, bos_token_id=456, eos_token_id=458),
    }


def qwen3_moe():
    files = qwen3()
    files["config.json"] |= {
        "architectures": ["Qwen3MoeForCausalLM"],
        "model_type": "qwen3_moe",
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 64,
    }
    del files["tokenizer_config.json"]["chat_template"]
    return files


def qwen3_that_names_little():
    """The class names <|endoftext|> and tokenizer_config.json <pad>; the vocabulary lacks both, so both are added."""
    tokenizer = byte_level(steps(split(QWEN2), BYTES), ["<|im_end|>"], old_merges=True)
    return {
        "tokenizer.json": tokenizer,
        "tokenizer_config.json": {
            "tokenizer_class": "Qwen2Tokenizer",
            "eos_token": "<|im_end|>",
            "pad_token": "<pad>",
            "chat_template": [
                {"name": "default", "template": "plain"},
                {"name": "tool use", "template": "with tools"},
                {"name": "rag", "template": "with documents"},
            ],
        },
        "config.json": config("Qwen3ForCausalLM", "qwen3", 460),
    }


def deepseek_r1_qwen():
    begin, end = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"
    tokenizer = byte_level(steps(split(QWEN2), BYTES), [end, "<｜User｜>", begin, "<think>"])
    tokenizer["post_processor"] = template([special(begin), A], [special(begin), A, special(begin), B], {begin: 458})
    tokenizer["added_tokens"][1]["special"] = tokenizer["added_tokens"][3]["special"] = False
    return {
        "tokenizer.json": tokenizer,
        "tokenizer_config.json": {
            "tokenizer_class": "LlamaTokenizerFast",
            "add_bos_token": True,
            "add_eos_token": False,
            "bos_token": {"__type": "AddedToken", "content": begin, "normalized": True},
            "eos_token": {"__type": "AddedToken", "content": end, "normalized": True},
            "pad_token": {"__type": "AddedToken", "content": end, "normalized": True},
            "unk_token": None,
        },
        "config.json": config("Qwen2ForCausalLM", "qwen2", 460, bos_token_id=456, eos_token_id=456),
    }


def llama3(post=None):
    names = ["<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", "<|eot_id|>", "<|eom_id|>"]
    begin = special("<|begin_of_text|>")
    chain = [
        {**GPT2_BYTES, "add_prefix_space": True},
        template([begin, A], [begin, A, begin, B], {"<|begin_of_text|>": 456}),
    ]
    tokenizer = byte_level(steps(split(LLAMA3), BYTES), names, ignore_merges=True)
    tokenizer["post_processor"] = post or {"type": "Sequence", "processors": chain}
    return {
        "tokenizer.json": tokenizer,
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "added_tokens_decoder": decoder_of(tokenizer["added_tokens"]),
            "bos_token": "<|begin_of_text|>",
            "eos_token": "<|eot_id|>",
            "clean_up_tokenization_spaces": True,
            "chat_template": "{{ bos_token }}",
        },
        "config.json": config("LlamaForCausalLM", "llama", 461, bos_token_id=456, eos_token_id=[457, 459, 460]),
    }


def llama3_that_ends_texts():
    """The template adds an end token that is not the configured one, which becomes the end of turn."""
    begin, end = special("<|begin_of_text|>"), special("<|end_of_text|>")
    ids = {"<|begin_of_text|>": 456, "<|end_of_text|>": 457}
    return llama3(template([begin, A, end], [begin, A, end, B, end], ids))


def mistral_nemo():
    names = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[TOOL_CALLS]", "<pad>", "<SPECIAL_7>"]
    begin = special("<s>")
    tokenizer = byte_level(steps(split(TEKKEN), BYTES), names, first=True, ignore_merges=True)
    tokenizer["post_processor"] = template([begin, A], [begin, A, begin, B], {"<s>": 1})
    return {
        "tokenizer.json": tokenizer,
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "add_bos_token": True,
            "add_eos_token": False,
            "add_prefix_space": False,
            "added_tokens_decoder": decoder_of(tokenizer["added_tokens"]),
            "bos_token": "<s>",
            "eos_token": "</s>",
            "pad_token": "<pad>",
            "unk_token": "<unk>",
        },
        "chat_template.json": {"chat_template": "from chat_template.json"},
        "config.json": config("MistralForCausalLM", "mistral", 464, bos_token_id=1, eos_token_id=2),
    }


def odd_listed_tokens(family="qwen2", architecture="Qwen2ForCausalLM"):
    """Tokens that are special only because tokenizer_config.json names or lists them."""
    names = ["<|endoftext|>", "<named>", "<listed>", "Ġnamed", "Ġlisted", "<plain>", "ünï"]
    tokenizer = byte_level(steps(split(QWEN2), BYTES), names)
    for id_, token in enumerate(tokenizer["added_tokens"]):
        token["special"], token["normalized"] = False, id_ in (3, 4)
    return {
        "tokenizer.json": tokenizer,
        "tokenizer_config.json": {
            "tokenizer_class": "Qwen2Tokenizer" if family == "qwen2" else "PreTrainedTokenizerFast",
            "bos_token": "<named>",
            "image_token": "Ġnamed",
            "additional_special_tokens": ["<listed>", "Ġlisted"],
            "add_eos_token": True,
        },
        "config.json": config(architecture, family, 470, eos_token_id=456),
    }


def odd_listed_tokens_of_a_llama():
    return odd_listed_tokens("llama", "LlamaForCausalLM")


def odd_post_processor():
    """BERT's way to mark texts; the class would name <|endoftext|>, but is not used in this family."""
    names = ["<s>", "</s>", "<sep>"]
    tokenizer = byte_level(steps(split(TEKKEN), BYTES), names)
    tokenizer["post_processor"] = {
        "type": "RobertaProcessing", "sep": ["<sep>", 458], "cls": ["<s>", 456], "trim_offsets": True,
        "add_prefix_space": False,
    }  # fmt: skip
    return {
        "tokenizer.json": tokenizer,
        "tokenizer_config.json": {"tokenizer_class": "GPT2Tokenizer", "eos_token": "</s>", "cls_token": "</s>"},
        "config.json": config("MistralForCausalLM", "mistral", 460),
    }


def odd_separator():
    """A template that puts one token between two texts."""
    tokenizer = byte_level(steps(split(LLAMA3), BYTES), ["<s>", "<sep>"])
    ids = {"<sep>": 457}
    tokenizer["post_processor"] = template([A], [A, special("<sep>"), B], ids)
    return {
        "tokenizer.json": tokenizer,
        "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast", "sep_token": "<sep>"},
        "config.json": config("LlamaForCausalLM", "llama", 460),
    }


def phi4():
    names = ["<|dummy_0|>", "<|endoftext|>", "<|fim_prefix|>", "<|im_start|>", "<|im_end|>", "<|im_sep|>"]
    tokenizer = byte_level(steps(split(LLAMA3, "Removed", invert=True), BYTES), names, post=GPT2_BYTES)
    return {
        "tokenizer.json": tokenizer,
        "tokenizer_config.json": {
            "tokenizer_class": "GPT2Tokenizer",
            "add_prefix_space": False,
            "added_tokens_decoder": decoder_of(tokenizer["added_tokens"]),
            "bos_token": "<|endoftext|>",
            "eos_token": "<|im_end|>",
            "pad_token": "<|dummy_0|>",
            "unk_token": "<|endoftext|>",
            "chat_template": "phi-4",
        },
        "config.json": config("Phi3ForCausalLM", "phi3", 480, bos_token_id=457, eos_token_id=457, pad_token_id=457),
    }


def phi4_mini():
    names = ["<|endoftext|>", "<|endofprompt|>", "<|assistant|>", "<|end|>", "<|user|>", "<|tool|>"]
    tokenizer = byte_level(steps(split(GPT4O, "Removed", invert=True), BYTES), names, post=BYTES)
    tokenizer["added_tokens"][5]["special"] = False
    return {
        "tokenizer.json": tokenizer,
        "tokenizer.model": b"not read beside GPT2Tokenizer",
        "vocab.json": tokenizer["model"]["vocab"],
        "tokenizer_config.json": {
            "tokenizer_class": "GPT2Tokenizer",
            "add_bos_token": False,
            "added_tokens_decoder": decoder_of(tokenizer["added_tokens"]),
            "bos_token": "<|endoftext|>",
            "eos_token": "<|endoftext|>",
            "pad_token": "<|endoftext|>",
            "unk_token": "<|endoftext|>",
        },
        "config.json": config("Phi3ForCausalLM", "phi3", 470, bos_token_id=456, eos_token_id=456, pad_token_id=456),
    }


def smollm():
    tokenizer = byte_level(steps(DIGITS, GPT2_BYTES), CHATML, first=True)
    return {
        "tokenizer.json": tokenizer,
        "tokenizer_config.json": {
            "tokenizer_class": "GPT2Tokenizer",
            "bos_token": "<|im_start|>",
            "eos_token": "<|im_end|>",
            "unk_token": "<|endoftext|>",
            "pad_token": "<|im_end|>",
        },
        "config.json": config("LlamaForCausalLM", "llama", 459, bos_token_id=1, eos_token_id=2, pad_token_id=2),
    }


FAMILIES = {
    make.__name__: make
    for make in (
        qwen2_without_tokenizer_json, qwen3, qwen3_moe, qwen3_that_names_little, deepseek_r1_qwen, llama3,
        llama3_that_ends_texts, mistral_nemo, phi4, phi4_mini, smollm, odd_listed_tokens,
        odd_listed_tokens_of_a_llama, odd_post_processor, odd_separator, llama2, llama2_with_added_tokens,
        llama2_without_tokenizer_model, mistral_v3, phi3,
    )
}  # fmt: skip
