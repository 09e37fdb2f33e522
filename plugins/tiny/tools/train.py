"""Train the tiny Qwen3-architecture chat model from scratch on the CPU.

    python train.py OUT_DIR --text FILE [FILE ...] --minutes 60

Needs torch, transformers and tokenizers.  Text files are split into documents on blank lines
and mixed with the conversations of corpus.py.  Writes a Hugging Face model directory.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from pathlib import Path

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from corpus import conversations

HERE = Path(__file__).parent
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
MARKERS = ["<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"]
QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
EMPTY_THINK = "<think>\n\n</think>\n\n"


def train_tokenizer(texts, vocab_size: int) -> Tokenizer:
    tok = Tokenizer(models.BPE())
    tok.normalizer = normalizers.NFC()
    tok.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN2_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tok.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(SPECIALS) - len(MARKERS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[],
    )
    tok.train_from_iterator(texts, trainer)
    tok.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIALS])
    tok.add_tokens([AddedToken(t, special=False, normalized=False) for t in MARKERS])
    return tok


def render(item: dict) -> list[tuple[str, bool]]:
    """(text, learn) pieces of one conversation in the model's chat format."""
    pieces: list[tuple[str, bool]] = []
    messages = item["messages"]
    system = messages[0]["content"] if messages[0]["role"] == "system" else ""
    if "tools" in item:
        tools = "".join(json.dumps(t, ensure_ascii=False) + "\n" for t in item["tools"])
        head = (
            (system + "\n\n" if system else "")
            + "# Tools\n\n<tools>\n"
            + tools
            + ('</tools>\n\nCall a function with <tool_call>\n{"name": ..., "arguments": {...}}\n</tool_call>')
        )
        pieces.append((f"<|im_start|>system\n{head}<|im_end|>\n", False))
    elif system:
        pieces.append((f"<|im_start|>system\n{system}<|im_end|>\n", False))
    turns = [m for m in messages if m["role"] != "system"]
    for i, m in enumerate(turns):
        if m["role"] == "user":
            pieces.append((f"<|im_start|>user\n{m['content']}<|im_end|>\n", True))
            continue
        pieces.append(("<|im_start|>assistant\n", False))
        if i == len(turns) - 1:  # earlier turns carry no reasoning, as in the chat template
            if m["reasoning"]:
                pieces.append((f"<think>\n{m['reasoning']}\n</think>\n\n", True))
            else:
                pieces.append((EMPTY_THINK, not item.get("thinkable", False)))
        pieces.append((f"{m['content']}<|im_end|>\n", True))
    return pieces


class Batches:
    def __init__(self, tok: Tokenizer, docs: list[list[int]], seq: int, batch: int, seed: int, text_share: float):
        self.tok, self.docs, self.seq, self.batch = tok, docs, seq, batch
        self.rng, self.chats, self.share = random.Random(seed), conversations(seed), text_share
        self.ids: list[int] = []
        self.learn: list[bool] = []
        self.eot = tok.token_to_id("<|endoftext|>")

    def fill(self, need: int) -> None:
        while len(self.ids) < need:
            if self.docs and self.rng.random() < self.share:
                doc = self.rng.choice(self.docs)
                start = self.rng.randrange(max(1, len(doc) - self.seq))
                ids, learn = doc[start : start + self.seq], None
                self.ids += ids + [self.eot]
                self.learn += [True] * (len(ids) + 1)
            else:
                for text, learn in render(next(self.chats)):
                    ids = self.tok.encode(text, add_special_tokens=False).ids
                    self.ids += ids
                    self.learn += [learn] * len(ids)
                self.ids.append(self.eot)
                self.learn.append(True)

    def next(self) -> tuple[torch.Tensor, torch.Tensor]:
        n = self.seq * self.batch
        self.fill(n)
        ids, learn = self.ids[:n], self.learn[:n]
        self.ids, self.learn = self.ids[n:], self.learn[n:]
        x = torch.tensor(ids).view(self.batch, self.seq)
        y = torch.where(torch.tensor(learn).view_as(x), x, -100)
        return x, y


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("out", type=Path)
    ap.add_argument("--text", type=Path, nargs="*", default=[])
    ap.add_argument("--minutes", type=float, default=60)
    ap.add_argument("--seed", type=int, default=7)
    ap.add_argument("--vocab", type=int, default=4096)
    ap.add_argument("--layers", type=int, default=4)
    ap.add_argument("--batch", type=int, default=16)
    ap.add_argument("--seq", type=int, default=256)
    ap.add_argument("--lr", type=float, default=1.5e-3)
    ap.add_argument("--init", type=Path, help="continue from this model directory")
    a = ap.parse_args()
    torch.manual_seed(a.seed)

    raw = [d for f in a.text for d in f.read_text(encoding="utf-8").split("\n\n\n") if d.strip()]
    sample = conversations(a.seed + 1)
    if a.init:
        tok = Tokenizer.from_file(str(a.init / "tokenizer.json"))
    else:
        tok = train_tokenizer([*raw, *("".join(t for t, _ in render(next(sample))) for _ in range(6000))], a.vocab)
    docs = [e.ids for e in tok.encode_batch(raw, add_special_tokens=False) if len(e.ids) > 32]
    print("documents", len(docs), "text tokens", sum(map(len, docs)), "vocab", tok.get_vocab_size(), flush=True)

    config = Qwen3Config(
        vocab_size=tok.get_vocab_size(),
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=a.layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
        max_position_embeddings=4096,
        rope_parameters={"rope_type": "default", "rope_theta": 1_000_000.0},
        rms_norm_eps=1e-6,
        tie_word_embeddings=True,
        initializer_range=0.02,
        bos_token_id=None,
        eos_token_id=tok.token_to_id("<|im_end|>"),
        pad_token_id=tok.token_to_id("<|endoftext|>"),
    )
    model = Qwen3ForCausalLM.from_pretrained(a.init, dtype=torch.float32) if a.init else Qwen3ForCausalLM(config)
    print("parameters", sum(p.numel() for p in model.parameters()), flush=True)
    decay = [p for p in model.parameters() if p.ndim == 2]
    rest = [p for p in model.parameters() if p.ndim != 2]
    opt = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}],
        lr=a.lr,
        betas=(0.9, 0.95),
        fused=True,
    )
    data = Batches(tok, docs, a.seq, a.batch, a.seed, text_share=0.25)

    start, step, spent, avg = time.time(), 0, 0.0, None
    while spent < a.minutes * 60:
        progress = spent / (a.minutes * 60)
        lr = a.lr * min(1, (step + 1) / 100) * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * progress)))
        for g in opt.param_groups:
            g["lr"] = lr
        x, y = data.next()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(input_ids=x).logits
        loss = torch.nn.functional.cross_entropy(
            logits[:, :-1].float().reshape(-1, config.vocab_size), y[:, 1:].reshape(-1)
        )
        opt.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        step += 1
        spent = time.time() - start
        avg = loss.item() if avg is None else 0.98 * avg + 0.02 * loss.item()
        if step % 100 == 0:
            print(
                f"step {step} loss {avg:.3f} tok/s {step * a.batch * a.seq / spent:.0f} min {spent / 60:.1f}",
                flush=True,
            )

    model.to(torch.bfloat16).save_pretrained(a.out)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tok,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>"],
        model_max_length=4096,
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = (HERE / "chat_template.jinja").read_text(encoding="utf-8")
    fast.save_pretrained(a.out)


if __name__ == "__main__":
    main()
