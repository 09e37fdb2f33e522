"""Real benchmarks: the bundled model on llama.cpp, and the example backend, which serves several requests at once."""

from __future__ import annotations

import os
import signal

import pytest

import pajamas
from pajamas.errors import DeviceNotFound, EngineCrashed, Unsupported, UnsupportedFeature
from pajamas.plugins import PluginHost
from pajamas_bench.asking import Asker, exact_prompt
from pajamas_bench.bandwidth import measure, processors
from pajamas_bench.candidate import Candidate
from pajamas_bench.cases import Case, plan

CASES = {"prompt": "What is 2+2?", "num_tokens": 12, "context_lengths": [100, 300], "concurrency": [1, 3]}
ALONE = {"first-token", "prompt-speed", "generation-speed", "latency", "latency-99", "total"}


@pytest.fixture(scope="module")
def tiny(tiny_q4):
    """The bundled model, with something large in this process that must not show in its figures."""
    ballast = bytearray(os.urandom(1) * 300_000_000)
    found = pajamas.run("benchmark", model=tiny_q4, repeat=2, max_sequences=1, **CASES)
    assert len(ballast) == 300_000_000
    return found


@pytest.fixture(scope="module")
def echo(echo_model):
    return pajamas.run("benchmark", model=echo_model, repeat=2, **CASES)


def cases_of(result):
    return {case.name: case for case in result.candidates[0].cases}


@pytest.mark.parametrize("result", ["tiny", "echo"])
def test_every_case_has_its_figures_of_every_run(result, request):
    found = request.getfixturevalue(result)
    (candidate,) = found.candidates
    cases = cases_of(found)

    assert list(cases) == ["What is 2+2?", "context 100", "context 300", "1 at once", "3 at once"]
    for case in candidate.cases:
        assert {figure.metric for figure in case.figures} == ALONE - ({"prompt-speed"} if case.concurrency else set())
        assert all(len(figure.values) == 2 and figure.low > 0 for figure in case.figures)
        assert case.generated == 12
        assert case.agree is True
    assert len(candidate.load.values) == len(candidate.peak_memory.values) == 2  # fresh processes for each repetition
    assert found.machine.bandwidth_all >= found.machine.bandwidth_one > 0
    assert found.status == "measured" and found.changes == ()


@pytest.mark.parametrize("result", ["tiny", "echo"])
def test_a_context_is_filled_to_the_token(result, request):
    cases = cases_of(request.getfixturevalue(result))

    assert [cases[name].prompt_tokens for name in ("context 100", "context 300")] == [88, 288]


def test_times_fit_together(tiny):
    for case in tiny.candidates[0].cases:
        values = {figure.metric: figure.values for figure in case.figures}
        for run in range(2):
            assert values["first-token"][run] < values["total"][run]
            assert values["latency"][run] <= values["latency-99"][run]
            if not case.concurrency:
                rest = 11 / values["generation-speed"][run]
                assert values["first-token"][run] + rest <= values["total"][run]
                assert sum(case.latencies) > 0 and len(case.latencies) == 11


def test_peak_memory_is_that_of_the_measuring_process(tiny):
    (candidate,) = tiny.candidates

    assert candidate.memory.total < candidate.peak_memory.median < 300_000_000


def test_what_the_model_reads_and_what_that_allows(tiny, echo):
    (candidate,) = tiny.candidates
    deep, shallow = cases_of(tiny)["context 300"], cases_of(tiny)["context 100"]

    assert candidate.weights_per_token == candidate.size > 2_000_000
    assert candidate.kv_per_token == 2048  # 4 layers, 2 heads, 64 wide, keys and values of 16 bits
    assert 0 < deep.ceiling < shallow.ceiling
    assert deep.of_ceiling == pytest.approx(deep.figure("generation-speed").median / deep.ceiling)
    assert all(case.ceiling is None for case in echo.candidates[0].cases)


def test_requests_at_once_queue_where_one_is_computed_at_a_time_and_it_is_said(tiny):
    one, three = cases_of(tiny)["1 at once"], cases_of(tiny)["3 at once"]

    assert (one.concurrency, three.concurrency, three.queued) == (1, 3, True)
    assert not one.queued
    assert any("wait in a queue" in note for note in tiny.notes)
    assert tiny.candidates[0].options["max_sequences"] == 1


def test_who_waits_in_the_queue_waits_for_the_whole_answer_before(tiny_q4):
    with pajamas.Runtime(tiny_q4, max_sequences=1) as model:
        run = Asker(model.session, PluginHost()).ask(Case(name="c", prompt="Hi", answer_tokens=64, concurrency=3))

    # The engine's own times, for a reader may look at the clock late: none of them lies within another.
    assert sum(answer.generation_seconds for answer in run.answers) <= run.seconds
    assert all(answer.prompt_seconds <= answer.first_token < answer.total <= run.seconds for answer in run.answers)


def test_requests_at_once_run_together_where_the_backend_can(echo):
    assert cases_of(echo)["3 at once"].queued is False
    assert not any("queue" in note for note in echo.notes)
    assert echo.candidates[0].options["max_sequences"] == 3


def test_requests_at_once_are_not_computed_one_after_the_other(tiny_q4):
    with pajamas.Runtime(tiny_q4, max_sequences=3) as model:
        run = Asker(model.session, PluginHost()).ask(Case(name="c", prompt="Hi", answer_tokens=512, concurrency=3))

    # Long ones, for a thread may start late.
    assert sum(answer.generation_seconds for answer in run.answers) > run.seconds


def test_the_session_has_room_for_the_longest_context(tiny):
    assert tiny.candidates[0].context_length >= 300
    assert tiny.candidates[0].options["context_length"] == 512


def test_a_context_beyond_the_models_is_refused_by_name(tiny_q4, echo_model):
    with pytest.raises(UnsupportedFeature, match=r"5,000 tokens is too long for .*tiny"):
        pajamas.run("benchmark", model=tiny_q4, context_lengths=[64, 5000], num_tokens=8)
    # Echo does not say how long its context is: it takes any, and keeps it.
    cases = plan(contexts=[6000], num_tokens=4)
    candidate = Candidate(PluginHost(), echo_model, None, {}, cases)
    try:
        candidate.reload()
        assert candidate.loaded.context_length == 6144
    finally:
        candidate.close()


def test_an_answer_that_fills_the_context_is_told_from_one_that_the_model_ended(tiny_q4):
    full = pajamas.run("benchmark", model=tiny_q4, prompt="Hi", num_tokens=100, repeat=1, context_length=64)

    assert any("context of 64 tokens was full before answers had their length: 'Hi'" in note for note in full.notes)
    assert not any("ended answers" in note for note in full.notes)


def test_a_long_answer_has_room(echo_model):
    candidate = Candidate(PluginHost(), echo_model, None, {}, plan(prompt="Hi", num_tokens=9000))

    assert candidate.options.context_length >= 9000 + 2


def test_devices_and_options_are_refused_through_core(tiny_q4, echo_model):
    with pytest.raises(DeviceNotFound, match="cuda"):
        pajamas.run("benchmark", model=tiny_q4, backend="cuda")
    with pytest.raises(UnsupportedFeature, match="kv-type"):
        pajamas.run("benchmark", model=echo_model, kv_type="q8_0")
    with pytest.raises(Unsupported, match="threads"):  # said by the backend, in the other process
        pajamas.run("benchmark", model=echo_model, threads=2)


def test_a_process_that_dies_is_an_error_of_ours(echo_model):
    case = Case(name="c", prompt="c", answer_tokens=4)
    candidate = Candidate(PluginHost(), echo_model, None, {}, (case,))
    candidate.reload()
    os.kill(candidate.process._process.pid, signal.SIGKILL)

    with pytest.raises(EngineCrashed, match="SIGKILL"):
        candidate.run(case)
    candidate.close()


def test_a_process_whose_parent_forgets_it_ends(echo_model):
    candidate = Candidate(PluginHost(), echo_model, None, {}, plan())
    candidate.reload()
    process = candidate.process._process
    candidate.process._connection.close()

    assert process.wait(timeout=30) == 1
    candidate.process._log.close()


def test_prompts_at_once_differ_and_a_prompt_is_not_cached(echo_model):
    with pajamas.Runtime(echo_model) as model:
        asker = Asker(model.session, PluginHost())
        run = asker.ask(Case(name="c", prompt="Hello", answer_tokens=3, concurrency=3))

        assert len({answer.text for answer in run.answers}) == 3
        assert len(exact_prompt(model.session, 777)) == 777


def test_the_bandwidth_is_measured():
    one, every = measure(2**24)

    assert every >= one > 1e8
    assert processors() >= 1
