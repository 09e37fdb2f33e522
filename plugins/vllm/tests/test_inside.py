"""What `inside.py` finds beside the engine: options, starts that fail, scoring in parts, cancelling, the cache."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # vLLM is started some times

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def answers(vllm_python, tmp_path_factory):
    folder = tmp_path_factory.mktemp("inside")
    done = subprocess.run(
        [vllm_python, HERE / "inside.py", folder], capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads((folder / "answers.json").read_text()) | {"printed": done.stdout + done.stderr}


def test_options_that_cannot_be_honoured_are_refused_by_name(answers):
    found = {what: said[0] for what, said in answers["options"].items()}

    usage, unsupported = "UsageError", "UnsupportedFeature"
    assert found == {
        "no context": usage, "beyond the trained context": usage, "too many sequences": usage, "no devices": usage,
        "more sequences than tokens": usage,
        "an unknown type": usage, "an unknown starter": usage, "attention": unsupported, "embeddings": unsupported,
        "a type of the cache": unsupported, "another device": "DeviceNotFound",
    }  # fmt: skip
    assert "tensor_parallel 0" in answers["options"]["no devices"][1]
    assert "ray" in answers["options"]["an unknown starter"][2]


def test_files_are_read_whole_and_sequences_fit_a_step(answers):
    assert answers["honoured"] == ["eager", 4, 4]


def test_a_start_that_fails_is_one_error_with_the_engines_own_reason(answers):
    starts = answers["starts"]

    assert starts["unknown"][0] == "UnsupportedModel"
    assert starts["unknown"][2] == "Model architectures ['NoSuchForCausalLM'] are not supported for now."
    assert starts["without a layer"][0] == "EngineError"
    assert "not initialized from checkpoint" in starts["without a layer"][2]  # said by the engine's process


def test_the_engine_prints_nothing_and_changes_no_environment(answers):
    assert (answers["printed"], answers["surroundings"]) == ("", True)


def test_requests_go_on_while_another_session_starts(answers):
    assert answers["free"] is True


def test_rows_are_the_same_in_parts(answers):
    counts = {first: count for first, (count, _) in answers["parts"].items()}

    assert counts == {"0": 700, "300": 400, "699": 1}
    assert all(apart < 1e-3 for _, apart in answers["parts"].values())


def test_closing_or_forgetting_a_stream_frees_its_place(answers):
    found = answers["cancelled"]

    assert (found["reason"], found["left"]) == ("cancelled", 0)
    assert found["tokens"] < 900


def test_exact_answers_of_threads_are_those_of_one(answers):
    assert answers["together"] is True


def test_the_likeliest_tokens_are_told_beside_one_who_wants_all(answers):
    assert answers["ranks"]["beside"] is True
    assert answers["ranks"]["differ"] < 12  # of 24: what is rounded together may fall either way


def test_a_score_waits_for_an_exact_answer(answers):
    assert answers["exact_beside_scores"] == {"waited": True, "ended": True}


def test_the_beginning_of_a_prompt_is_used_again_but_for_exact_answers(answers):
    first, again, exact, unwanted = answers["cache"]

    assert again >= 128  # whole blocks
    assert (first, exact, unwanted) == (0, 0, 0)


def test_requests_are_honoured_or_refused_by_name(answers):
    found = answers["requests"]

    assert [kind for kind, *_ in found["refused"]] == ["UnsupportedFeature"] * 3 + ["UsageError"]
    assert "temperature of 5" in found["refused"][0][1]
    assert [kind for kind, *_ in found["schemas"]] == ["UnsupportedFeature", "UsageError"]
    assert '"not"' in found["schemas"][0][1]
    assert "grammar" in found["grammar"][1]


def test_an_answer_ends_before_its_stop_string(answers):
    found = answers["requests"]
    stop = found["whole"].index("excited") if "excited" in found["whole"] else 0

    assert stop > 0
    assert found["stopped"] == found["whole"][:stop]
