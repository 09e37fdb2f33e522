"""What tests ask a session."""

from __future__ import annotations

from pathlib import Path

from attrs import fields_dict

from pajamas.types import Artifact, GenerateRequest, Sampling

TINY = Path(__file__).parents[2] / "tiny/src/pajamas_tiny/model"
MODEL = Artifact(path=TINY, format="safetensors")
STORY = "Once upon a time there was a little duck named Tom. Tom lived near the beach. One day Tom"


def request(prompt=STORY, *, max_tokens=24, **options):
    """A request; greedy unless a temperature is given. Sampling options stand beside the others."""
    sampling = {"temperature": 0.0} | {name: options.pop(name) for name in set(options) & set(fields_dict(Sampling))}
    return GenerateRequest(prompt=prompt, max_tokens=max_tokens, sampling=Sampling(**sampling), **options)


def tokens_of(chunks):
    return [token for chunk in chunks for token in chunk.token_ids]


def text_of(chunks):
    return "".join(chunk.text for chunk in chunks)
