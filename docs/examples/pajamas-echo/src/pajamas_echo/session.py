"""A language model that echoes: after a text and a separator, the text again."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from pajamas.errors import ContextOverflow, UsageError
from pajamas.session import BaseSession
from pajamas.streaming import StreamText
from pajamas.types import Architecture, Chunk, Feature, FinishReason, GenerateRequest, Sampling, TokenLogprob, Usage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SEPARATOR, END, N_VOCAB = 256, 257, 258  # after the 256 bytes of UTF-8
FEATURES = frozenset(
    {
        Feature.STREAM, Feature.SEED, Feature.TOP_K, Feature.LOGIT_BIAS, Feature.LOGPROBS, Feature.IGNORE_EOS,
        Feature.SCORE, Feature.PARALLEL,
    }
)  # fmt: skip
ARCHITECTURE = Architecture(model_type="echo", family="Echo", vocab_size=N_VOCAB)


def logits(token_ids: list[int]) -> list[float]:
    """The model: one logit for each token that may come next, [n_vocab]. Pure, so that nothing needs a lock."""
    if SEPARATOR in token_ids:
        length = token_ids.index(SEPARATOR)
        place = len(token_ids) - length - 1
        expected = token_ids[place] if place < length else END
    else:
        expected = SEPARATOR
    return [8.0 if token == expected else -token / N_VOCAB for token in range(N_VOCAB)]


def sample(scores: list[float], sampling: Sampling, generator: random.Random) -> int:
    """The next token: logit bias, then temperature, top-k and top-p. At temperature 0 it is the arg-max; None is 1."""
    scores = [score + sampling.logit_bias.get(token, 0.0) for token, score in enumerate(scores)]
    ranked = sorted(range(N_VOCAB), key=scores.__getitem__, reverse=True)[: sampling.top_k or None]
    temperature = 1.0 if sampling.temperature is None else sampling.temperature
    if temperature == 0 or math.isinf(scores[ranked[0]]):
        return ranked[0]
    weights = [math.exp((scores[token] - scores[ranked[0]]) / temperature) for token in ranked]
    if sampling.top_p is not None:
        kept, wanted = 1, sampling.top_p * sum(weights)
        while kept < len(ranked) and sum(weights[:kept]) < wanted:
            kept += 1
        ranked, weights = ranked[:kept], weights[:kept]
    return generator.choices(ranked, weights)[0]


class EchoSession(BaseSession):
    """Generation and scores, both from `logits`."""

    backend = "echo"
    architecture = ARCHITECTURE
    features = FEATURES
    chat_template = "{{ messages[-1]['content'] }}"
    default_sampling = Sampling(temperature=0.0)

    def __init__(self, context_length: int) -> None:
        self.context_length = context_length

    def tokenize(self, text: str, *, add_special: bool = True, parse_special: bool = True) -> list[int]:
        return [*text.encode("utf-8", "replace"), *([SEPARATOR] if add_special else [])]

    def detokenize(self, token_ids: list[int]) -> str:
        check_tokens(token_ids)
        return b"".join(map(piece, token_ids)).decode("utf-8", "replace")

    def generate(self, request: GenerateRequest) -> Iterator[Chunk]:
        self.refuse_unsupported(request)
        tokens = self.tokenize(request.prompt) if request.prompt is not None else list(request.token_ids or ())
        check_tokens([*tokens, *request.sampling.logit_bias])
        self._check_room(len(tokens) + 1)
        room = self.context_length - len(tokens)
        return self._answer(request, tokens, room if request.max_tokens is None else min(room, request.max_tokens))

    def _answer(self, request: GenerateRequest, tokens: list[int], limit: int) -> Iterator[Chunk]:
        text = StreamText(request.stop)
        generator = random.Random(request.sampling.seed)
        prompt_length = len(tokens)
        finish_reason: FinishReason = "length"
        while len(tokens) < prompt_length + limit:
            scores = logits(tokens)
            token = sample(scores, request.sampling, generator)
            if token == END and not request.ignore_eos:
                finish_reason = "stop"
                break
            tokens.append(token)
            logprobs = (
                () if request.logprobs is None else (token_logprob(log_softmax(scores), token, request.logprobs),)
            )
            yield Chunk(text=text.feed(piece(token)), token_ids=(token,), logprobs=logprobs)
            if text.stopped:
                finish_reason = "stop"
                break
        usage = Usage(prompt_tokens=prompt_length, completion_tokens=len(tokens) - prompt_length)
        yield Chunk(text=text.finish(), finish_reason=finish_reason, usage=usage)

    def score(self, token_ids: list[int], first: int = 0) -> Iterator[NDArray[np.float32]]:
        check_tokens(token_ids)
        self._check_room(len(token_ids))
        if not 0 <= first < len(token_ids):
            raise UsageError(f"There is no position {first}.", f"There are {len(token_ids)} tokens.", "")
        return self._rows(token_ids, first)

    def _rows(self, token_ids: list[int], first: int) -> Iterator[NDArray[np.float32]]:
        import numpy as np

        for end in range(first + 1, len(token_ids) + 1):
            yield np.array([log_softmax(logits(token_ids[:end]))], np.float32)

    def _check_room(self, needed: int) -> None:
        if needed > self.context_length:
            why = f"The context holds {self.context_length}."
            raise ContextOverflow(f"{needed} tokens are too many.", why, "Shorten the text, or load with more context.")


def piece(token: int) -> bytes:
    return bytes([token]) if token < SEPARATOR else b""


def check_tokens(tokens: Iterable[int]) -> None:
    if strange := [token for token in tokens if not 0 <= token < N_VOCAB]:
        raise UsageError(f"There is no token {strange[0]}.", f"The vocabulary has {N_VOCAB}.", "")


def log_softmax(scores: list[float]) -> list[float]:
    total = math.log(sum(map(math.exp, scores)))
    return [score - total for score in scores]


def token_logprob(logprobs: list[float], token: int, count: int = 0) -> TokenLogprob:
    """The token and the `count` most likely ones, in the model's own distribution."""
    data = piece(token)
    best = sorted(range(N_VOCAB), key=logprobs.__getitem__, reverse=True)[:count]
    return TokenLogprob(
        token_id=token,
        token=data.decode("utf-8", "replace"),
        bytes=data,
        logprob=logprobs[token],
        top=tuple(token_logprob(logprobs, other) for other in best),
    )
