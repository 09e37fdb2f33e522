"""Scores, log-probabilities and embeddings against each other and against plain formulas."""

from __future__ import annotations

import numpy as np
import pytest

from pajamas.errors import ContextOverflow, EngineError, UnsupportedFeature, UsageError
from pajamas.types import GenerateRequest, Sampling
from pajamas_gguf.session.logprobs import log_softmax

QUESTIONS = [(0, 7), (2, 2), (5, 3), (8, 1), (9, 9), (4, 6), (1, 1), (7, 2), (3, 3), (6, 5), (2, 9), (0, 0)]
TEXT = "".join(
    f"<|im_start|>user\nCalculate {a} + {b}.<|im_end|>\n<|im_start|>assistant\n{a} + {b} = {a + b}.<|im_end|>\n"
    for a, b in QUESTIONS
)


@pytest.fixture(scope="module")
def exact(tiny_bf16, load_session):
    return load_session(tiny_bf16)


def all_rows(session, tokens, first=0):
    return np.concatenate(list(session.score(tokens, first)))


def test_rows_are_distributions_one_for_each_position(exact):
    tokens = exact.tokenize(TEXT)
    rows = all_rows(exact, tokens, 7)

    assert rows.dtype == np.float32
    assert rows.shape == (len(tokens) - 7, 4096)
    assert np.abs(np.log(np.exp(rows.astype(np.float64)).sum(axis=1))).max() < 1e-5
    likely = rows[np.arange(len(rows) - 1), tokens[8:]]
    assert likely.mean() > -3  # the model knows such text; chance is -8.3


def divergence(rows, wanted):
    """Mean KL divergence. Rounding depends on how many tokens are computed together: 1e-4 is what engines differ by."""
    return float((np.exp(wanted) * (wanted - rows)).sum(axis=1).mean())


def test_where_it_begins_changes_no_row(exact):
    tokens = exact.tokenize(TEXT)
    whole = all_rows(exact, tokens)

    for first in (0, 1, len(tokens) // 2, len(tokens) - 1):
        assert divergence(all_rows(exact, tokens, first), whole[first:]) < 1e-3


def test_windows_know_nothing_of_each_other(exact):
    tokens = exact.tokenize(TEXT)
    first = all_rows(exact, tokens)
    all_rows(exact, tokens[::-1])

    assert (all_rows(exact, tokens) == first).all()


def test_blocks_are_bounded(exact, monkeypatch):
    from pajamas_gguf.session import score

    tokens = exact.tokenize(TEXT)
    assert [score.rows_at_once(size) for size in (4096, 151_936, 262_144, 10_000_000)] == [512, 256, 128, 32]
    assert max(block.nbytes for block in exact.score(tokens)) <= 2 << 20

    # A new context with little room gives the same rows in more blocks.
    wanted = all_rows(exact, tokens)
    list(exact.generate(GenerateRequest(prompt="a", max_tokens=1)))
    monkeypatch.setattr(score, "rows_at_once", lambda _size: 32)
    blocks = list(exact.score(tokens))
    assert max(len(block) for block in blocks) == 32
    assert divergence(np.concatenate(blocks), wanted) < 1e-3
    list(exact.generate(GenerateRequest(prompt="a", max_tokens=1)))


def test_scores_agree_with_the_log_probabilities_of_an_answer(exact):
    prompt = exact.tokenize("The cat and the")
    request = GenerateRequest(
        token_ids=tuple(prompt),
        sampling=Sampling(temperature=0.7, top_k=5, repetition_penalty=1.5, seed=3),
        logprobs=4,
        max_tokens=12,
        ignore_eos=True,
    )
    chunks = list(exact.generate(request))
    answer = [token for chunk in chunks for token in chunk.token_ids]
    told = [entry for chunk in chunks for entry in chunk.logprobs]
    rows = all_rows(exact, prompt + answer, len(prompt) - 1)

    assert [entry.token_id for entry in told] == answer
    for row, entry in zip(rows[:-1], told, strict=True):
        assert entry.logprob == pytest.approx(row[entry.token_id], abs=5e-2)
        assert [one.logprob for one in entry.top] == sorted((one.logprob for one in entry.top), reverse=True)
        assert entry.top[0].logprob == pytest.approx(row.max(), abs=5e-2)
        assert len(entry.top) == 4 and not entry.top[0].top
    assert b"".join(entry.bytes for entry in told).decode() == "".join(chunk.text for chunk in chunks)


def test_zero_alternatives_tell_the_chosen_token_only(exact):
    chunks = list(exact.generate(GenerateRequest(prompt="The", logprobs=0, max_tokens=2, ignore_eos=True)))

    assert [len(chunk.logprobs) for chunk in chunks] == [1, 1, 0]
    assert chunks[0].logprobs[0].top == ()


def test_log_softmax_is_the_formula():
    logits = np.array([[1000.0, 1001.0, 999.0], [0.0, -50.0, -1e4]], np.float32)
    exact = logits.astype(np.float64) - 1000 * np.array([[1], [0]])
    wanted = exact - np.log(np.exp(exact).sum(axis=1, keepdims=True))

    assert np.abs(log_softmax(logits) - wanted).max() < 1e-4


def test_windows_that_make_no_sense_are_refused(tiny_q4, load_session):
    session = load_session(tiny_q4, context_length=32)

    with pytest.raises(ContextOverflow, match="33"):
        session.score([1] * 33)
    for tokens, first in (([1, 2], 2), ([1, 2], -1), ([], 0), ([1, 4096], 0)):
        with pytest.raises(UsageError):
            session.score(tokens, first)


def test_leaving_a_score_early_frees_the_session(exact):
    blocks = exact.score(exact.tokenize(TEXT))
    next(blocks)
    with pytest.raises(EngineError, match="busy"):
        exact.score([1])
    blocks.close()

    assert all_rows(exact, [1, 2]).shape == (2, 4096)


def test_a_cancelled_score_is_an_error(exact):
    blocks = exact.score(exact.tokenize(TEXT) * 2)
    next(blocks)
    exact.cancel()

    with pytest.raises(EngineError, match="broken off"):
        list(blocks)


def test_embeddings_are_unit_vectors_that_know_likeness(tiny_bf16, load_session):
    session = load_session(tiny_bf16, embeddings=True)
    texts = ["The cat sat on the mat.", "The cat sat on the rug.", "7 + 8 = 15"]
    vectors = session.embed(texts)

    assert vectors.shape == (3, 256) and vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]
    assert np.abs(session.embed(texts[1:2])[0] - vectors[1]).max() < 1e-6
    assert session.embed([]).shape == (0, 256)
    with pytest.raises(ContextOverflow):
        session.embed(["word " * 3000])
    with pytest.raises(EngineError, match="empty"):
        session.embed([""])


def test_a_session_that_generates_does_not_embed(exact):
    with pytest.raises(UnsupportedFeature, match="embeddings=True"):
        exact.embed(["a"])
