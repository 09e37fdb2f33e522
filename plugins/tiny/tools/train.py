"""Train the tiny Qwen3-architecture chat model from scratch on a CPU.

    python train.py OUT --text FILE [FILE ...] --minutes 80 --lr 2e-3
    python train.py OUT2 --text FILE [FILE ...] --init OUT --minutes 32 --lr 1.2e-3 --seed 77

Needs torch, transformers and tokenizers. Text files are split into documents where two lines are blank, and mixed with
the conversations of corpus.py. OUT is a model folder in Hugging Face layout.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from corpus import conversations
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

TEMPLATE = Path(__file__).parents[1] / "src" / "pajamas_tiny" / "model" / "chat_template.jinja"
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
MARKERS = ["<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"]
# The Qwen2 tokenizer's own split, so that engines know the tokenizer as "qwen2".
QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
EMPTY_REASONING = "<think>\n\n</think>\n\n"


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """A byte-level BPE of `vocab_size` tokens, special ones included."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    split = pre_tokenizers.Split(Regex(QWEN2_SPLIT), behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(SPECIALS) - len(MARKERS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[],
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIALS])
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in MARKERS])
    return tokenizer


def render(item: dict[str, Any]) -> list[tuple[str, bool]]:
    """One conversation in the model's chat format, as (text, whether it is learned) pieces."""
    pieces = []
    messages = item["messages"]
    system = messages[0]["content"] if messages[0]["role"] == "system" else ""
    if "tools" in item:
        tools = "".join(json.dumps(tool, ensure_ascii=False) + "\n" for tool in item["tools"])
        call = '<tool_call>\n{"name": ..., "arguments": {...}}\n</tool_call>'
        head = f"# Tools\n\n<tools>\n{tools}</tools>\n\nCall a function with {call}"
        system = f"{system}\n\n{head}" if system else head
    if system:
        pieces.append((f"<|im_start|>system\n{system}<|im_end|>\n", False))
    turns = [message for message in messages if message["role"] != "system"]
    for number, message in enumerate(turns):
        if message["role"] == "user":
            pieces.append((f"<|im_start|>user\n{message['content']}<|im_end|>\n", True))
            continue
        pieces.append(("<|im_start|>assistant\n", False))
        if number == len(turns) - 1:  # earlier turns carry no reasoning, as in the chat template
            if message["reasoning"]:
                pieces.append((f"<think>\n{message['reasoning']}\n</think>\n\n", True))
            else:
                pieces.append((EMPTY_REASONING, not item.get("thinkable", False)))
        pieces.append((f"{message['content']}<|im_end|>\n", True))
    return pieces


class Batches:
    """Token batches, a quarter of them plain text and the rest conversations; unlearned positions are -100."""

    def __init__(self, tokenizer: Tokenizer, documents: list[list[int]], length: int, batch: int, seed: int) -> None:
        self.tokenizer, self.documents, self.length, self.batch = tokenizer, documents, length, batch
        self.rng, self.chats = random.Random(seed), conversations(seed)
        self.ids: list[int] = []
        self.learn: list[bool] = []
        self.end = tokenizer.token_to_id("<|endoftext|>")

    def _add(self, ids: list[int], learn: bool) -> None:
        self.ids += ids
        self.learn += [learn] * len(ids)

    def _fill(self, count: int) -> None:
        while len(self.ids) < count:
            if self.documents and self.rng.random() < 0.25:
                document = self.rng.choice(self.documents)
                start = self.rng.randrange(max(1, len(document) - self.length))
                self._add(document[start : start + self.length], True)
            else:
                for text, learn in render(next(self.chats)):
                    self._add(self.tokenizer.encode(text, add_special_tokens=False).ids, learn)
            self._add([self.end], True)

    def next(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs and labels, both int64 [batch, length]."""
        count = self.length * self.batch
        self._fill(count)
        inputs = torch.tensor(self.ids[:count]).view(self.batch, self.length)
        learned = torch.tensor(self.learn[:count]).view_as(inputs)
        self.ids, self.learn = self.ids[count:], self.learn[count:]
        return inputs, torch.where(learned, inputs, -100)


def make_model(tokenizer: Tokenizer, layers: int) -> Qwen3ForCausalLM:
    config = Qwen3Config(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=256, intermediate_size=768, num_hidden_layers=layers,
        num_attention_heads=4, num_key_value_heads=2, head_dim=64, max_position_embeddings=4096,
        rope_parameters={"rope_type": "default", "rope_theta": 1_000_000.0}, rms_norm_eps=1e-6,
        tie_word_embeddings=True, initializer_range=0.02, bos_token_id=None,
        eos_token_id=tokenizer.token_to_id("<|im_end|>"), pad_token_id=tokenizer.token_to_id("<|endoftext|>"),
    )  # fmt: skip
    return Qwen3ForCausalLM(config)


def train(model: Qwen3ForCausalLM, data: Batches, minutes: float, peak_rate: float) -> None:
    """AdamW with a warm-up of 100 steps and a cosine decay over the time given."""
    decayed = [parameter for parameter in model.parameters() if parameter.ndim == 2]
    others = [parameter for parameter in model.parameters() if parameter.ndim != 2]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=peak_rate, betas=(0.9, 0.95), fused=True)
    start, step, average = time.monotonic(), 0, None
    while (progress := (time.monotonic() - start) / (minutes * 60)) < 1:
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
        for group in optimizer.param_groups:
            group["lr"] = peak_rate * min(1, (step + 1) / 100) * (0.03 + 0.97 * cosine)
        inputs, labels = data.next()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(input_ids=inputs).logits
        guesses = logits[:, :-1].float().reshape(-1, logits.shape[-1])
        loss = torch.nn.functional.cross_entropy(guesses, labels[:, 1:].reshape(-1))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        average = loss.item() if average is None else 0.98 * average + 0.02 * loss.item()
        if step % 100 == 0:
            print(f"step {step}, loss {average:.3f}, {progress:.0%}", flush=True)


def save(model: Qwen3ForCausalLM, tokenizer: Tokenizer, folder: Path) -> None:
    model.to(torch.bfloat16).save_pretrained(folder)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>"], model_max_length=4096, clean_up_tokenization_spaces=False,
    )  # fmt: skip
    fast.chat_template = TEMPLATE.read_text(encoding="utf-8")
    fast.save_pretrained(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--text", type=Path, nargs="*", default=[])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--vocab", type=int, default=4096)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--lr", type=float, default=1.5e-3)
    parser.add_argument("--init", type=Path, help="go on from this model folder")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    texts = [part for file in options.text for part in file.read_text(encoding="utf-8").split("\n\n\n") if part.strip()]
    if options.init:
        tokenizer = Tokenizer.from_file(str(options.init / "tokenizer.json"))
        model = Qwen3ForCausalLM.from_pretrained(options.init, dtype=torch.float32)
    else:
        sample = conversations(options.seed + 1)
        chats = ("".join(text for text, _ in render(next(sample))) for _ in range(6000))
        tokenizer = train_tokenizer([*texts, *chats], options.vocab)
        model = make_model(tokenizer, options.layers)
    encoded = tokenizer.encode_batch(texts, add_special_tokens=False)
    documents = [document.ids for document in encoded if len(document.ids) > 32]
    data = Batches(tokenizer, documents, options.length, options.batch, options.seed)
    train(model, data, options.minutes, options.lr)
    save(model, tokenizer, options.out)


if __name__ == "__main__":
    main()
