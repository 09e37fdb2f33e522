"""From timed answers to figures, with numbers that can be checked in the head."""

from __future__ import annotations

import pytest

from pajamas.types import Architecture, Chunk, MemoryUse, Usage
from pajamas_bench import asking
from pajamas_bench.asking import gaps
from pajamas_bench.cases import Case
from pajamas_bench.ceiling import ceiling, kv_per_token, usable_bandwidth, weights_per_token
from pajamas_bench.figures import case_result, disagreement, values_alone, values_together
from pajamas_bench.messages import Answer, Run

QWEN3_8B = Architecture(
    model_type="qwen3", family="Qwen3", num_layers=36, num_kv_heads=8, head_dim=128, hidden_size=4096,
    vocab_size=151_936, tied_embeddings=False, parameters=8_190_735_360, active_parameters=8_190_735_360,
)  # fmt: skip


def answer(**fields):
    """Ten prompt tokens in half a second, then a token every tenth."""
    given = {
        "first_token": 0.5, "total": 1.0, "gaps": (0.1, 0.1, 0.1, 0.1), "token_ids": (1, 2, 3, 4, 5),
        "first_tokens": 1, "text": "five", "prompt_tokens": 10, "cached_tokens": 0, "prompt_seconds": 0.0,
        "generation_seconds": 0.0,
    }  # fmt: skip
    return Answer(**given | fields)


def run(*answers, seconds=1.0):
    return Run(answers=answers or (answer(),), seconds=seconds)


def test_the_metrics_of_one_answer():
    assert values_alone(answer()) == pytest.approx(
        {
            "first-token": 0.5, "prompt-speed": 20.0, "generation-speed": 10.0, "latency": 0.1, "latency-99": 0.1,
            "total": 1.0,
        }
    )  # fmt: skip


def test_prompt_tokens_from_a_cache_are_not_counted_and_the_engines_own_clock_is_preferred():
    found = values_alone(answer(cached_tokens=6, prompt_seconds=0.4))

    assert found["prompt-speed"] == pytest.approx(10.0)


def test_an_answer_in_one_piece_has_the_speed_that_its_engine_states():
    piece = answer(gaps=(), first_tokens=5, first_token=1.0, generation_seconds=0.2)

    assert values_alone(piece) == pytest.approx({"first-token": 1.0, "generation-speed": 20.0, "total": 1.0})
    assert set(values_alone(answer(gaps=(), first_tokens=5))) == {"first-token", "total"}


def test_an_empty_answer_has_a_total_only():
    assert values_alone(answer(first_token=None, gaps=(), token_ids=(), first_tokens=0)) == {"total": 1.0}


def test_requests_at_once_count_together():
    late = answer(first_token=1.5, gaps=(0.3,), token_ids=(1, 2, 3))

    assert values_together(run(answer(), late, seconds=2.0)) == pytest.approx(
        {"first-token": 1.0, "generation-speed": 4.0, "latency": 0.1, "latency-99": 0.292, "total": 2.0}
    )


def test_tokens_that_come_together_share_their_time():
    assert gaps([(1.0, 1), (1.5, 1), (2.5, 2)]) == pytest.approx((0.5, 0.5, 0.5))
    assert gaps([]) == gaps([(1.0, 3)]) == ()


def test_a_stream_is_timed_by_its_tokens_and_not_by_its_texts(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(asking.time, "perf_counter", lambda: now[0])

    def stream():
        for seconds, chunk in (
            (1.0, Chunk(token_ids=(7,))),  # its text is held back
            (0.5, Chunk(text="ab", token_ids=(8,))),
            (0.25, Chunk(text="c")),
            (0.75, Chunk(text="d", reasoning="r", token_ids=(9, 10))),
            (2.0, Chunk(finish_reason="stop", usage=Usage(prompt_tokens=6, completion_tokens=4, cached_tokens=1))),
        ):
            now[0] += seconds
            yield chunk

    found = asking.timed(stream, began=99.0)

    assert (found.first_token, found.total) == (2.0, 5.5)
    assert found.gaps == (0.5, 0.5, 0.5)
    assert (found.token_ids, found.first_tokens, found.text) == ((7, 8, 9, 10), 1, "abcrd")
    assert (found.prompt_tokens, found.cached_tokens) == (6, 1)


def test_a_case_says_where_runs_part():
    same, apart, short = run(), run(answer(token_ids=(1, 2, 9, 4, 5))), run(answer(token_ids=(1, 2)))

    assert disagreement([same, same]) is None
    assert disagreement([same, same, apart]) == "run 3 differs from run 1 from token 3 on"
    assert disagreement([same, short]) == "run 2 differs from run 1 in length: 2 tokens, not 5"
    assert disagreement([run(answer(), answer()), run(answer(), apart.answers[0])]) is not None


def test_a_case_holds_every_run_and_what_sums_it_up():
    case = Case(name="c", prompt="c", answer_tokens=5)
    found = case_result(case, [run(answer(total=1.0)), run(answer(total=3.0)), run(answer(total=2.0))], ceiling=40.0)

    total = found.figure("total")
    assert (total.values, total.median, total.low, total.high) == ((1.0, 3.0, 2.0), 2.0, 1.0, 3.0)
    assert found.agree is True
    assert found.of_ceiling == pytest.approx(0.25)
    assert found.latencies == pytest.approx((0.1,) * 4)
    assert case_result(case, [run()]).agree is None


def test_the_ceiling_of_a_known_model():
    # Qwen3-8B at Q4_K_M on 1008 GB/s: 5.03 GB without the embedding's share are 4.65 GB, or 217 tokens a second.
    touched = weights_per_token(5_027_783_488, QWEN3_8B)

    assert touched == pytest.approx(4.65e9, rel=0.01)
    assert ceiling(1008e9, touched, 147_456, 0) == pytest.approx(217, abs=1)
    # At 32,768 tokens of context 4.83 GB of keys and values are read besides.
    assert ceiling(1008e9, touched, 147_456, 32_768) == pytest.approx(1008e9 / (touched + 4.832e9), rel=0.001)
    # Two requests read the weights once.
    assert ceiling(1008e9, touched, 147_456, 0, requests=2) == pytest.approx(2 * 1008e9 / touched)


def test_of_a_mixture_only_active_experts_are_read_and_a_tied_embedding_is():
    mixture = Architecture(model_type="m", family="M", parameters=100, active_parameters=25, tied_embeddings=True)

    assert weights_per_token(1000, mixture) == 250
    assert weights_per_token(1000, Architecture(model_type="m", family="M")) == 0
    assert ceiling(1e9, 0, 100, 10) is None


def test_keys_and_values_are_what_the_engine_has_or_sixteen_bits():
    eight_bit = MemoryUse(weights=1, kv_cache=147_456 * 512, compute=1)

    assert kv_per_token(eight_bit, 1024, QWEN3_8B) == 73_728
    assert kv_per_token(MemoryUse(weights=1, kv_cache=0, compute=1), 1024, QWEN3_8B) == 147_456


@pytest.mark.parametrize(("threads", "expected"), [(None, 30.0), (1, 18.0), (2, 30.0)])
def test_fewer_threads_read_less(threads, expected):
    assert usable_bandwidth(18.0, 30.0, threads) == expected
