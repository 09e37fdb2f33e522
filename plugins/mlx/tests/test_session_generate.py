"""Answers: what of an earlier prompt is used again, JSON schemas, and that mlx-lm says the same."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest
from attrs import evolve

from asked import STORY, TINY, request, tokens_of
from pajamas.errors import ContextOverflow, EngineError, UnsupportedFeature, UsageError

LONG = f"{STORY} " * 27


def usage(chunks):
    return chunks[-1].usage


def test_greedy_answers_are_those_of_mlx_lm(session):
    import mlx_lm

    model, tokenizer = mlx_lm.load(str(TINY))
    for prompt in (STORY, "<|im_start|>user\nWhat is 2+2?<|im_end|>\n<|im_start|>assistant\n"):
        theirs = [answer.token for answer in mlx_lm.stream_generate(model, tokenizer, prompt, max_tokens=40)]
        mine = tokens_of(session.generate(request(prompt, max_tokens=40, cache_prompt=False)))

        assert mine == [token for token in theirs if token not in tokenizer.eos_token_ids]


def test_the_beginning_of_a_prompt_is_used_again(session):
    first = list(session.generate(request()))
    again = list(session.generate(request()))
    other = list(session.generate(request(f"{STORY} went home.")))
    alone = list(session.generate(request(cache_prompt=False)))

    count = usage(first).prompt_tokens
    assert (usage(again).cached_tokens, usage(other).cached_tokens, usage(alone).cached_tokens) == (count - 1, count, 0)
    assert tokens_of(first) == tokens_of(again) == tokens_of(alone)


def test_with_a_seed_only_whole_chunks_are_used_again(load):
    session = load(batch_size=64)
    asked = request(LONG, seed=3, temperature=1.0)
    fresh = list(session.generate(evolve(asked, cache_prompt=False)))
    list(session.generate(request(LONG + "More of it, by another way.")))
    again = list(session.generate(asked))

    assert usage(again).cached_tokens == (usage(again).prompt_tokens - 1) // 64 * 64 > 0
    assert tokens_of(again) == tokens_of(fresh)


def test_another_thread_can_cancel(session):
    stream = session.generate(request(max_tokens=3000, ignore_eos=True))
    next(stream)
    thread = threading.Thread(target=session.cancel)
    thread.start()
    thread.join()

    assert list(stream)[-1].finish_reason == "cancelled"
    rows = session.score(session.tokenize(LONG))
    next(rows)
    session.cancel()
    with pytest.raises(EngineError, match="cancelled"):
        list(rows)


def test_a_prompt_and_its_answer_fit_the_context(load):
    small = load(context_length=30)
    count = len(small.tokenize(STORY))

    answer = list(small.generate(request(max_tokens=None, ignore_eos=True)))
    assert (usage(answer).completion_tokens, answer[-1].finish_reason) == (30 - count, "length")
    with pytest.raises(ContextOverflow, match="30"):
        small.generate(request(STORY * 2))
    with pytest.raises(ContextOverflow, match="30"):
        small.score([1] * 31)


@pytest.mark.parametrize(
    ("options", "named"), [({"grammar": "root ::= 'a'"}, "grammar"), ({"typical_p": 0.5}, "typical")]
)
def test_what_mlx_has_not_is_refused_by_name(session, options, named):
    with pytest.raises(UnsupportedFeature, match=named):
        session.generate(request(**options))


@pytest.mark.parametrize("options", [{"max_tokens": -1}, {"logprobs": -1}, {"prompt": ""}])
def test_requests_that_make_no_sense_are_refused(session, options):
    with pytest.raises(UsageError):
        session.generate(request(**options))


@pytest.mark.parametrize(
    ("schema", "check"),
    [
        ({"type": "integer", "minimum": 10, "maximum": 12}, lambda value: value in (10, 11, 12)),
        ({"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 2}, lambda value: len(value) == 2),
        ({"type": "string", "pattern": "^[ab]{3}$"}, lambda value: len(value) == 3 and set(value) <= {"a", "b"}),
        ({"enum": ["é🦆", None, 1.5]}, lambda value: value in ("é🦆", None, 1.5)),
        (
            {"anyOf": [{"const": "x"}, {"$ref": "#/$defs/y"}], "$defs": {"y": {"const": 7}}},
            lambda value: value in ("x", 7),
        ),
    ],
)
def test_answers_obey_a_schema(session, schema, check):
    for seed in range(3):
        chunks = list(session.generate(request(json_schema=schema, temperature=2.0, seed=seed, max_tokens=100)))

        assert chunks[-1].finish_reason == "stop"
        assert check(json.loads("".join(chunk.text for chunk in chunks)))


@pytest.mark.parametrize(
    ("schema", "error", "named"),
    [
        ({"not": {"type": "string"}}, UnsupportedFeature, "not"),
        ({"type": "array", "uniqueItems": True}, UnsupportedFeature, "uniqueItems"),
        ({"type": "string", "format": "no-such"}, UnsupportedFeature, "no-such"),
        ({"type": "string", "pattern": "(?=a)b"}, UnsupportedFeature, "look-around"),
        ({"$ref": "https://example.org/schema"}, UnsupportedFeature, r"example\.org"),
        ({"not": {}, "x-guidance": {"lenient": True}}, UnsupportedFeature, "not"),
        ({"type": "strin"}, UsageError, "strin"),
        ({"type": "string", "minLength": 5, "maxLength": 2}, UsageError, "minLength"),
        ({"properties": 3}, UsageError, "properties"),
        ({"const": object()}, UsageError, "serializable"),
    ],
)
def test_a_schema_that_cannot_be_enforced_is_refused_by_name(session, schema, error, named):
    with pytest.raises(error, match=named):
        session.generate(request(json_schema=schema))


def test_a_schema_that_is_nested_too_deeply_is_refused(session):
    schema = {"type": "string"}
    for _ in range(150):
        schema = {"type": "array", "items": schema}

    with pytest.raises(UsageError, match="recursion limit"):
        session.generate(request(json_schema=schema))


def test_log_probabilities_are_the_models_own(session):
    plain = list(session.generate(request(logprobs=2)))
    bent = list(session.generate(request(logprobs=2, logit_bias={plain[0].token_ids[0]: 5.0}, repetition_penalty=1.01)))

    assert [(entry.token_id, entry.bytes) for entry in bent[0].logprobs[0].top] == [
        (entry.token_id, entry.bytes) for entry in plain[0].logprobs[0].top
    ]
    assert bent[0].logprobs[0].logprob == pytest.approx(plain[0].logprobs[0].logprob, abs=1e-6)


def test_scores_are_computed_in_parts(load):
    exact = load(compute_dtype="float32")
    tokens = exact.tokenize(LONG)
    blocks = list(exact.score(tokens))
    rows = np.concatenate(blocks)

    assert len(tokens) > 512  # more than one part
    assert max(block.nbytes for block in blocks) <= 4 << 20
    assert np.logaddexp.reduce(rows.astype(np.float64), axis=1) == pytest.approx(0, abs=1e-5)
    assert np.array_equal(np.concatenate(list(exact.score(tokens, 530))), rows[530:])
    assert np.abs(np.concatenate(list(exact.score(tokens[:40]))) - rows[:40]).max() < 1e-3
